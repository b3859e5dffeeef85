package inject

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// tokenSeconds is how long a token of ours is valid; the kubelet renews it in
// time.
const tokenSeconds = 3600

// mountsToken reports whether the container gets API access of its own.
func (m *member) mountsToken() bool {
	return m.spec.Source == spec.SourcePod && !m.hasToken() && len(m.spec.StartDeps)+len(m.spec.StopDeps)+len(m.spec.HoldFor) > 0
}

// checkLocal refuses what records alone cannot tell.
func (j *job) checkLocal(m *member) {
	if m.spec.Source != spec.SourceLocal {
		return
	}
	for _, d := range m.spec.StartDeps {
		j.checkRecord(m, d, j.placeOf(m.Name, "startDeps"))
	}
	for _, d := range m.spec.StopDeps {
		j.checkRecord(m, d, j.placeOf(m.Name, "stopDeps"))
	}
}

func (j *job) checkRecord(m *member, d spec.Dependency, place string) {
	on, found := j.find(d.Container)
	peer := j.member(d.Container)
	exits := d.Condition != spec.Started && d.Condition != spec.Ready
	switch {
	case !found && !j.late(d.Container): // said already
	case peer == nil:
		j.refuseLocal(m, place, fmt.Sprintf("%q is not wrapped and keeps no record", d.Container))
	case exits && j.forgets(on):
		j.refuseLocal(m, place, fmt.Sprintf("%q may be missed: the record of %q does not outlive the pod's sandbox", d, on.Name))
	case d.Condition == spec.Ready && !tellsReady(peer):
		j.refuseLocal(m, place, fmt.Sprintf("%q cannot run its probes by itself, so that only the pod's status tells when it is ready", on.Name))
	}
}

// forgets reports whether an exit for good may be unknown to the containers of
// the pod's next sandbox. Where the whole pod is never restarted, there is none.
func (j *job) forgets(on container) bool {
	policy := on.restarts()
	return policy == corev1.RestartPolicyOnFailure ||
		policy == corev1.RestartPolicyNever && j.pod.Spec.RestartPolicy != corev1.RestartPolicyNever
}

// refuseLocal says what cannot be known, and why nobody else is asked.
func (j *job) refuseLocal(m *member, place, what string) {
	var why string
	mount := j.pod.Spec.AutomountServiceAccountToken
	switch {
	case m.wish.Spec.Source == spec.SourceLocal:
		why = fmt.Sprintf("%s is local", j.placeOf(m.Name, "source"))
	case mount != nil && !*mount:
		why = "the pod has automountServiceAccountToken: false"
	default:
		why = fmt.Sprintf("service account %s has automountServiceAccountToken: false", podAccount(j.pod))
	}
	j.refuse(place, fmt.Sprintf("%s, and the API server is not asked (%s): set %ssource: pod", what, why, Prefix))
}

// podAccount is the service account in messages.
func podAccount(pod *corev1.Pod) string {
	if pod.Spec.ServiceAccountName == "" {
		return `"default"`
	}
	return fmt.Sprintf("%q", pod.Spec.ServiceAccountName)
}

// allLocal reports whether no wrapped container asks the API server.
func (j *job) allLocal() bool {
	return !slices.ContainsFunc(j.members, func(m *member) bool { return m.spec.Source != spec.SourceLocal })
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
