package inject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// tokenSeconds is how long the token in APIVolume is valid. The kubelet renews it
// in time.
const tokenSeconds = 3600

// mountsToken reports whether koordinator mounts API access into the container.
func (m *member) mountsToken() bool {
	return m.source == spec.SourcePod && !m.hasToken() && len(m.startDeps)+len(m.stopDeps)+len(m.restartWith())+len(m.holdFor)+len(m.delegated) > 0
}

// checkLocal rejects dependencies that records alone cannot answer.
func (in *input) checkLocal(m *member, all members, n *messages.Notes) {
	if m.source != spec.SourceLocal {
		return
	}
	for _, d := range m.startDeps {
		if in.readyEndpoint(d, all) != "" {
			continue
		}
		in.checkRecord(m, all, d, in.asked.placeOf(m.Name, "startDeps"), n)
	}
	for _, d := range m.stopDeps {
		in.checkRecord(m, all, d, in.asked.placeOf(m.Name, "stopDeps"), n)
	}
	for _, name := range m.restartWith() { // only the exit matters
		if on, found := in.find(name); found && on.runsToEnd() {
			continue // already rejected
		}
		in.checkRecord(m, all, spec.Dependency{Container: name, Condition: spec.Started}, in.asked.placeOf(m.Name, "restartWith"), n)
	}
	for _, delegation := range m.delegated {
		for _, d := range delegation.StopDeps {
			if d.Container != m.Name && delegation.StopWhen == spec.StopAll {
				in.checkRecord(m, all, d, in.asked.placeOf(delegation.Container, "stopDeps"), n)
			}
		}
	}
}

func (in *input) checkRecord(m *member, all members, d spec.Dependency, place messages.Place, n *messages.Notes) {
	on, found := in.find(d.Container)
	peer := all.named(d.Container)
	exits := d.Condition != spec.Started && d.Condition != spec.Ready
	var unknown string
	switch {
	case !found && !in.late(d.Container): // already reported
		return
	case peer == nil:
		unknown = fmt.Sprintf("%q does not run under koordinator, so it keeps no record", d.Container)
	case exits && in.forgets(on):
		unknown = fmt.Sprintf("%q may be missed, because the record of %q does not outlive the pod's sandbox", d, on.Name)
	case d.Condition == spec.Ready && !tellsReady(peer):
		unknown = fmt.Sprintf("the wrapper of %q cannot run its probes, so only the pod's status shows when it is ready", on.Name)
	default:
		return
	}
	n.Refuse(place, messages.NotInRecords, d.String(),
		fmt.Sprintf("%s, and koordinator does not read the pod's status (%s)", unknown, in.whyLocal(m)), fmt.Sprintf("Set the annotation %ssource: pod", Prefix))
}

// forgets reports whether the containers of the pod's next sandbox may not know
// about a permanent exit. There is no next sandbox if the whole pod is never
// restarted.
func (in *input) forgets(on container) bool {
	policy := on.restarts()
	return policy == corev1.RestartPolicyOnFailure ||
		policy == corev1.RestartPolicyNever && in.pod.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// whyLocal returns the reason why only the records are read.
func (in *input) whyLocal(m *member) string {
	mount := in.pod.Spec.AutomountServiceAccountToken
	switch {
	case m.wish.Spec.Source == spec.SourceLocal:
		return in.asked.placeOf(m.Name, "source").Name() + " is local"
	case mount != nil && !*mount:
		return "the pod has automountServiceAccountToken: false"
	}
	return fmt.Sprintf("service account %s has automountServiceAccountToken: false", podAccount(in.pod))
}

// podAccount returns the pod's service account for messages.
func podAccount(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return `"default"`
	}
	return fmt.Sprintf("%q", pod.Spec.ServiceAccountName)
}

// apiAccess returns the source of a volume that gives API access with the pod's
// service account, like the volume that the API server adds.
func apiAccess() *corev1.ProjectedVolumeSource {
	return &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(tokenSeconds))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{podField("namespace")}}},
		},
		DefaultMode: new(int32(fileMode)),
	}
}
