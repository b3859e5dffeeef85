package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/inject"
)

// handler answers the API server's question what to do with a new pod. It
// writes nothing, so a dry run is answered like any other.
type handler struct {
	settings inject.Settings
	log      *slog.Logger
}

// Handle implements admission.Handler.
func (h *handler) Handle(_ context.Context, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create || req.Resource.Resource != "pods" || req.SubResource != "" {
		return admission.Allowed("")
	}
	var pod corev1.Pod
	if err := json.Unmarshal(req.Object.Raw, &pod); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode the pod: %w", err))
	}
	if !annotated(pod.Annotations) {
		return admission.Allowed("")
	}
	if reason := untouchable(&pod); reason != "" {
		return admission.Allowed("").WithWarnings("koordinator: left alone: " + reason)
	}
	asked := parseAnnotations(pod.Annotations)
	if asked.leaveAlone {
		return admission.Allowed("")
	}
	result := inject.Inject(&pod, asked.wishes, h.settings)
	problems := append(asked.problems, result.Problems...)
	warnings := append(asked.warnings, result.Warnings...)
	log := h.log.With("namespace", req.Namespace, "pod", pod.Name+pod.GenerateName)
	if len(problems) > 0 {
		log.Info("pod refused", "problems", len(problems), "first", problems[0].String())
		return refused(problems).WithWarnings(warnings...)
	}
	if len(result.Patch) > 0 {
		log.Info("pod injected", "wrapped", result.Wrapped)
	}
	return admission.Patched("", result.Patch...).WithWarnings(warnings...)
}

// untouchable says why a pod cannot be injected however much it asks for it,
// or "".
func untouchable(pod *corev1.Pod) string {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return "this is the mirror of a static pod, which the kubelet has started already"
	}
	windows := pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows ||
		pod.Spec.NodeSelector[corev1.LabelOSStable] == string(corev1.Windows)
	if windows {
		return "koordinator runs on Linux only, this is a Windows pod"
	}
	return ""
}

// refused is the answer to a user's mistakes.
func refused(problems []inject.Problem) admission.Response {
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{
		Allowed: false,
		Result: &metav1.Status{
			Status:  metav1.StatusFailure,
			Code:    http.StatusUnprocessableEntity,
			Reason:  metav1.StatusReasonInvalid,
			Message: listProblems(problems),
		},
	}}
}

// listProblems writes a line for each. "kubectl get events" shows only the
// first line, so that is a problem already, and says how many there are.
func listProblems(problems []inject.Problem) string {
	if len(problems) == 1 {
		return problems[0].String()
	}
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = fmt.Sprintf("(%d of %d) %s", i+1, len(problems), p)
	}
	return strings.Join(lines, "\n")
}
