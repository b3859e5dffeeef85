package inject

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// tokenSeconds is how long a token of ours is valid; the kubelet renews it in
// time.
const tokenSeconds = 3600

// mountsToken reports whether the container gets API access of its own.
func (m *member) mountsToken() bool {
	return m.source == spec.SourcePod && !m.hasToken() && len(m.startDeps)+len(m.stopDeps)+len(m.holdFor) > 0
}

// checkLocal refuses what records alone cannot tell.
func (in *input) checkLocal(m *member, all members, n *Notes) {
	if m.source != spec.SourceLocal {
		return
	}
	for _, d := range m.startDeps {
		in.checkRecord(m, all, d, in.asked.placeOf(m.Name, "startDeps"), n)
	}
	for _, d := range m.stopDeps {
		in.checkRecord(m, all, d, in.asked.placeOf(m.Name, "stopDeps"), n)
	}
}

func (in *input) checkRecord(m *member, all members, d spec.Dependency, place string, n *Notes) {
	on, found := in.find(d.Container)
	peer := all.named(d.Container)
	exits := d.Condition != spec.Started && d.Condition != spec.Ready
	var unknown string
	switch {
	case !found && !in.late(d.Container): // said already
		return
	case peer == nil:
		unknown = fmt.Sprintf("%q is not wrapped and keeps no record", d.Container)
	case exits && in.forgets(on):
		unknown = fmt.Sprintf("%q may be missed: the record of %q does not outlive the pod's sandbox", d, on.Name)
	case d.Condition == spec.Ready && !tellsReady(peer):
		unknown = fmt.Sprintf("%q cannot run its probes by itself, so that only the pod's status tells when it is ready", on.Name)
	default:
		return
	}
	n.refuse(place, fmt.Sprintf("%s, and the API server is not asked (%s): set %ssource: pod", unknown, in.whyLocal(m), Prefix))
}

// forgets reports whether an exit for good may be unknown to the containers of
// the pod's next sandbox. Where the whole pod is never restarted, there is none.
func (in *input) forgets(on container) bool {
	policy := on.restarts()
	return policy == corev1.RestartPolicyOnFailure ||
		policy == corev1.RestartPolicyNever && in.pod.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// whyLocal says why nobody but the records is asked.
func (in *input) whyLocal(m *member) string {
	mount := in.pod.Spec.AutomountServiceAccountToken
	switch {
	case m.wish.Spec.Source == spec.SourceLocal:
		return fmt.Sprintf("%s is local", in.asked.placeOf(m.Name, "source"))
	case mount != nil && !*mount:
		return "the pod has automountServiceAccountToken: false"
	}
	return fmt.Sprintf("service account %s has automountServiceAccountToken: false", podAccount(in.pod))
}

// podAccount is the service account in messages.
func podAccount(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return `"default"`
	}
	return fmt.Sprintf("%q", pod.Spec.ServiceAccountName)
}

// apiVolume gives API access as the API server's own volume does, with the
// pod's service account.
func apiVolume() corev1.Volume {
	return corev1.Volume{Name: APIVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(tokenSeconds))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{podField("namespace")}}},
		},
		DefaultMode: new(int32(fileMode)),
	}}}
}
