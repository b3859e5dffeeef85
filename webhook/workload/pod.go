package workload

import (
	"cmp"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"koordinator.io/koordinator/wrapper/spec"
)

// Pod returns the pod that a workload's template, as JSON, describes. Its
// generated name begins with the name of the workload, as with most controllers.
func Pod(owner metav1.ObjectMeta, template []byte) (*corev1.Pod, error) {
	var t corev1.PodTemplateSpec
	if err := json.Unmarshal(template, &t); err != nil {
		return nil, err
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: owner.Namespace, GenerateName: cmp.Or(owner.Name, owner.GenerateName) + "-",
			Labels: t.Labels, Annotations: t.Annotations,
		},
		Spec: t.Spec,
	}, nil
}

// Complete returns a copy of a pod from a manifest, with the addition that the
// API server makes before it calls the webhook: the service account's token. Only
// the service account, which may not exist yet, could prevent that addition.
func Complete(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	token := corev1.VolumeMount{Name: "kube-api-access", MountPath: spec.APIAccess, ReadOnly: true}
	mount := pod.Spec.AutomountServiceAccountToken
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			c := &list[i]
			if (mount == nil || *mount) && !slices.ContainsFunc(c.VolumeMounts, isToken) {
				c.VolumeMounts = append(c.VolumeMounts, token)
			}
		}
	}
	return pod
}

// isToken reports whether a mount has the path at which the API server mounts the
// token. A pod that already has such a mount keeps it.
func isToken(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == spec.APIAccess }
