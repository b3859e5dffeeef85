package admission

import (
	"log/slog"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/workload"
	"koordinator.io/koordinator/wrapper/spec"
)

// CheckTemplate says of a pod template what the handler would say of its pods.
// Images are looked up when the pod is created, not here.
func CheckTemplate(settings inject.Settings, log *slog.Logger) workload.Check {
	return func(pod *corev1.Pod, place string) admission.Response {
		problems, warnings := templateProblems(pod, settings)
		for i, w := range warnings {
			warnings[i] = place + ": " + w
		}
		if len(problems) > 0 {
			log.Info("workload refused", "namespace", pod.Namespace, "pods", pod.GenerateName,
				"problems", len(problems), "first", inject.Shorten(problems[0].String()))
			return refused(pod, place, problems).WithWarnings(warnings...)
		}
		return admission.Allowed("").WithWarnings(warnings...)
	}
}

// templateProblems is everything that the handler would say.
func templateProblems(pod *corev1.Pod, settings inject.Settings) ([]inject.Problem, []string) {
	switch o := guard(pod); {
	case o.problem != nil:
		return []inject.Problem{*o.problem}, nil
	case o.text != "":
		return nil, []string{"koordinator: pods will be left alone: " + o.text}
	case o.reason != "":
		return nil, nil
	}
	asked, problems := annotations.Read(pod.ObjectMeta)
	plan := inject.Plan(complete(pod), asked, settings)
	return append(problems, plan.Problems...), plan.Warnings
}

// complete is a copy of a template's pod with what it will have by the time the
// handler sees it: the service account's token, if only the service account,
// which may not exist yet, does not say otherwise.
func complete(pod *corev1.Pod) *corev1.Pod {
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

// isToken reports whether a mount is where the API server mounts the token,
// which then leaves it.
func isToken(m corev1.VolumeMount) bool { return path.Clean(m.MountPath) == spec.APIAccess }
