package admission

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/inject"
)

// maxProblems is how many problems are listed.
const maxProblems = 20

// refused is the answer to a user's mistakes. Each is a cause with its field,
// for clients that list those; the message is for the rest. place is the path of
// the pod template they were made in, "" for a pod.
func refused(pod *corev1.Pod, place string, problems []inject.Problem) admission.Response {
	details := &metav1.StatusDetails{Kind: "Pod", Name: nameOf(pod)}
	if place != "" {
		details = &metav1.StatusDetails{}
	}
	problems = slices.Clone(problems)
	for i, p := range problems {
		if i < maxProblems {
			details.Causes = append(details.Causes, cause(pod, place, p))
		}
		if i == maxProblems { // clients that list causes show no message
			details.Causes = append(details.Causes, metav1.StatusCause{
				Type: metav1.CauseTypeFieldValueInvalid, Field: cmp.Or(place, "metadata.annotations"),
				Message: fmt.Sprintf("koordinator: %d more problems are not listed: correct these first", len(problems)-maxProblems),
			})
		}
		if place != "" {
			problems[i].Place = place + ": " + p.Place
		}
	}
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed: false,
		Result: &metav1.Status{
			Status:  metav1.StatusFailure,
			Code:    http.StatusUnprocessableEntity,
			Reason:  metav1.StatusReasonInvalid,
			Message: listProblems(problems),
			Details: details,
		},
	}}
}

// nameOf is a pod's name, or the beginning of one that is not given yet. One
// that was restored from a backup has both.
func nameOf(pod *corev1.Pod) string { return cmp.Or(pod.Name, pod.GenerateName) }

// listProblems writes a line for each. "kubectl get events" shows only the
// first line, so that is a problem already, and says how many there are.
func listProblems(problems []inject.Problem) string {
	if len(problems) == 1 {
		return inject.Shorten(problems[0].String())
	}
	shown := problems[:min(len(problems), maxProblems)]
	lines := make([]string, len(shown))
	for i, p := range shown {
		lines[i] = fmt.Sprintf("(%d of %d) %s", i+1, len(problems), inject.Shorten(p.String()))
	}
	return strings.Join(lines, "\n")
}
