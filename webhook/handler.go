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

// Bounds of what is read for one pod, far above any use: the API server checks
// sizes only after us.
const (
	maxAnnotations = 64 << 10 // bytes of all annotations of ours
	maxContainers  = 200
	maxProblems    = 20 // that are listed
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
	if !concerned(pod.ObjectMeta) {
		return admission.Allowed("")
	}
	if reason := untouchable(&pod); reason != "" {
		return admission.Allowed("").WithWarnings("koordinator: left alone: " + reason)
	}
	if problem, large := tooLarge(&pod); large {
		return refused([]inject.Problem{problem})
	}
	asked := parse(pod.ObjectMeta)
	if asked.leaveAlone {
		return admission.Allowed("")
	}
	result := inject.Inject(&pod, asked.Asked, h.settings)
	problems := append(asked.problems, result.Problems...)
	warnings := result.Warnings
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
	if isWindows(pod.Spec) {
		return "koordinator runs on Linux only, this is a Windows pod"
	}
	return ""
}

// tooLarge says what of a pod is more than is read.
func tooLarge(pod *corev1.Pod) (inject.Problem, bool) {
	size := 0
	for key, value := range pod.Annotations {
		if strings.HasPrefix(key, inject.Prefix) {
			size += len(key) + len(value)
		}
	}
	if size > maxAnnotations {
		return inject.Problem{Place: inject.Prefix, Text: fmt.Sprintf("the annotations have %d bytes, at most %d are read: shorten them", size, maxAnnotations)}, true
	}
	if n := len(pod.Spec.InitContainers) + len(pod.Spec.Containers); n > maxContainers {
		return inject.Problem{Place: "spec.containers", Text: fmt.Sprintf("the pod has %d containers, koordinator orders at most %d: remove its annotations", n, maxContainers)}, true
	}
	return inject.Problem{}, false
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
		return shortened(problems[0].String())
	}
	shown := problems[:min(len(problems), maxProblems)]
	lines := make([]string, len(shown))
	for i, p := range shown {
		lines[i] = fmt.Sprintf("(%d of %d) %s", i+1, len(problems), shortened(p.String()))
	}
	return strings.Join(lines, "\n")
}

// shortened is a message with the end left out where a user's value makes it
// longer than anybody reads.
func shortened(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
