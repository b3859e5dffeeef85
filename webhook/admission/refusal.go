package admission

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/messages"
)

// maxProblems is how many problems an answer lists.
const maxProblems = 20

// refused returns the answer that rejects an object for its problems. The causes,
// each with its field, are for clients that list them, and the message is for
// other clients. details identify the object.
func refused(details *metav1.StatusDetails, problems []messages.Problem) admission.Response {
	details.Causes = causes(problems)
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

// causes converts problems to the form in which the API server lists its own.
// Clients that show causes do not show the message, so the last cause counts the
// problems that are not listed.
func causes(problems []messages.Problem) []metav1.StatusCause {
	shown := problems[:min(len(problems), maxProblems)]
	all := make([]metav1.StatusCause, 0, len(shown)+1)
	for _, p := range shown {
		e := p.Error()
		all = append(all, metav1.StatusCause{Type: metav1.CauseType(e.Type), Message: e.Detail, Field: e.Field})
	}
	if more := len(problems) - len(shown); more > 0 {
		all = append(all, metav1.StatusCause{
			Type: metav1.CauseTypeFieldValueInvalid, Field: problems[maxProblems].Path.String(),
			Message: fmt.Sprintf("%d more problems are not listed. Correct the others first", more),
		})
	}
	return all
}

// nameOf returns a pod's name, or its prefix if the name is not generated yet. A
// pod that was restored from a backup has both.
func nameOf(pod *corev1.Pod) string { return cmp.Or(pod.Name, pod.GenerateName) }

// listProblems writes one line per problem. "kubectl get events" shows only the
// first line, so that line already contains a problem and the number of problems.
func listProblems(problems []messages.Problem) string {
	if len(problems) == 1 {
		return problems[0].String()
	}
	shown := problems[:min(len(problems), maxProblems)]
	lines := make([]string, len(shown))
	for i, p := range shown {
		lines[i] = fmt.Sprintf("(%d of %d) %s", i+1, len(problems), p.String())
	}
	return strings.Join(lines, "\n")
}
