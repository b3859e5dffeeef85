package admission

import (
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/workload"
)

// CheckTemplate returns a check that reports the problems that the handler would
// report for the pods of a template. Images are looked up only when a pod is
// created.
func CheckTemplate(settings inject.Settings, log *slog.Logger) workload.Check {
	return func(pod *corev1.Pod, root *field.Path) admission.Response {
		problems, warnings := Check(pod, root, settings)
		if len(problems) > 0 {
			log.Info("workload refused", "namespace", pod.Namespace, "pods", pod.GenerateName,
				"problems", len(problems), "first", problems[0].String())
			return withWarnings(refused(&metav1.StatusDetails{}, problems), messages.Strings(warnings))
		}
		return allowed(nil, warnings)
	}
}

// Check finds everything that is wrong with a pod, except for problems that
// require an image lookup. root is the path of the template that describes the
// pod.
func Check(pod *corev1.Pod, root *field.Path, settings inject.Settings) (problems, warnings []messages.Problem) {
	if o := guard(pod, root); o.reason != "" {
		return o.notes.Problems, o.notes.Warnings
	}
	asked, problems := annotations.Read(pod.ObjectMeta, root)
	plan := inject.Plan(workload.Complete(pod), asked, settings)
	return append(problems, plan.Problems...), plan.Warnings
}
