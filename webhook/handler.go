package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/commands"
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
	commands *commands.Finder
	metrics  *metrics
	log      *slog.Logger
}

// Handle implements admission.Handler.
func (h *handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	began := time.Now()
	d := h.decide(ctx, req)
	h.metrics.decided(d.decision, d.reason, time.Since(began))
	return d.response
}

// decision is an answer and how it is counted.
type decision struct {
	decision, reason string
	response         admission.Response
}

// skip is the answer to a request that is none of the webhook's business, or
// that asks it to leave the pod as it is.
func skip(reason string, warnings ...string) decision {
	return decision{skipped, reason, admission.Allowed("").WithWarnings(warnings...)}
}

// deny is the answer to a user's mistakes.
func deny(reason string, pod *corev1.Pod, problems []inject.Problem, warnings ...string) decision {
	return decision{denied, reason, refused(pod, "", problems).WithWarnings(warnings...)}
}

// decide decides about a request.
func (h *handler) decide(ctx context.Context, req admission.Request) decision {
	if req.Operation != admissionv1.Create || req.Resource.Resource != "pods" || req.SubResource != "" {
		return skip("no_new_pod")
	}
	var pod corev1.Pod
	unread, err := kjson.UnmarshalStrict(req.Object.Raw, &pod, kjson.DisallowUnknownFields)
	if err != nil {
		return decision{denied, "not_decoded", admission.Errored(http.StatusBadRequest, fmt.Errorf("decode the pod: %w", err))}
	}
	if !annotations.Present(pod.ObjectMeta) {
		return skip("not_annotated")
	}
	if reason, text := untouchable(&pod); reason != "" {
		return h.left(&pod, reason, "koordinator: left alone: "+text)
	}
	if problem, large := tooLarge(&pod); large {
		return deny("too_large", &pod, []inject.Problem{problem})
	}
	return h.injected(ctx, &pod, req.Namespace, paths(unread), req.DryRun != nil && *req.DryRun)
}

// paths are those of the fields that strict decoding complains of.
func paths(errs []error) []string {
	var all []string
	for _, err := range errs {
		if f, ok := errors.AsType[kjson.FieldError](err); ok {
			all = append(all, f.FieldPath())
		}
	}
	return all
}

// injected decides about a pod that may ask for something.
func (h *handler) injected(ctx context.Context, pod *corev1.Pod, namespace string, unread []string, dry bool) decision {
	if annotations.Disabled(pod.ObjectMeta) {
		return skip("inject_false")
	}
	asked, problems := annotations.Read(pod.ObjectMeta)
	asked.Unread = unread
	log := func(level slog.Level, message string, more ...any) {
		h.log.Log(ctx, level, message, append([]any{"namespace", namespace, "pod", nameOf(pod)}, more...)...)
	}
	reason := "mistakes"
	result := inject.Inject(pod, asked, inject.Commands{Assume: true}, h.settings)
	if len(result.Assumed) > 0 {
		if len(problems)+len(result.Problems) == 0 {
			reason = "command_unknown"
		}
		found := h.commands.Find(ctx, pod, namespace, result.Assumed, dry)
		result = inject.Inject(pod, asked, inject.Commands{Found: found}, h.settings)
	}
	problems = append(problems, result.Problems...)
	switch {
	case len(problems) > 0:
		log(slog.LevelInfo, "pod refused", "problems", len(problems), "first", inject.Shorten(problems[0].String()))
		return deny(reason, pod, problems, result.Warnings...)
	case result.Skipped:
		log(slog.LevelWarn, "pod left alone", "reason", result.Warnings)
		if _, marked := pod.Annotations[inject.StatusAnnotation]; len(result.Patch) > 0 || marked {
			return decision{skipped, "lookup_failed", allowed(result.Patch, result.Warnings)}
		}
		return h.left(pod, "lookup_failed", result.Warnings...)
	case len(result.Wrapped) == 0:
		return h.left(pod, "nothing_to_wrap", result.Warnings...)
	case len(result.Patch) > 0:
		log(slog.LevelInfo, "pod injected", "wrapped", result.Wrapped)
	}
	return decision{injected, "", allowed(result.Patch, result.Warnings)}
}

// untouchable says in a word and in a sentence why a pod cannot be injected
// however much it asks for it; both are "" where it can.
func untouchable(pod *corev1.Pod) (reason, text string) {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return "mirror", "this is the mirror of a static pod, which the kubelet has started already"
	}
	if isWindows(pod.Spec) {
		return "windows", "koordinator runs on Linux only, this is a Windows pod"
	}
	return "", ""
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
	n := len(pod.Spec.InitContainers) + len(pod.Spec.Containers)
	if slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == inject.InstallContainer }) {
		n--
	}
	if n > maxContainers {
		return inject.Problem{Place: "spec.containers", Text: fmt.Sprintf("the pod has %d containers, koordinator orders at most %d: remove its annotations", n, maxContainers)}, true
	}
	return inject.Problem{}, false
}

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
