// Package admission turns the API server's question about a new pod, or a pod
// template, into the answer: the patch of a pod, or everything that is wrong with
// it. It writes nothing, so a dry run is answered like any other question.
package admission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	kjson "sigs.k8s.io/json"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
)

// Handler answers the API server's question what to do with a new pod.
type Handler struct {
	settings inject.Settings
	commands *commands.Finder
	metrics  *metrics
	log      *slog.Logger
}

// New is a handler that counts what it decides in the registry.
func New(settings inject.Settings, commands *commands.Finder, registry prometheus.Registerer, log *slog.Logger) *Handler {
	return &Handler{settings: settings, commands: commands, metrics: newMetrics(registry), log: log}
}

// Handle implements admission.Handler.
func (h *Handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	began := time.Now()
	d := h.decide(ctx, req)
	h.metrics.decided(d.decision, d.reason, time.Since(began))
	return d.response
}

// The outcomes of a review.
const (
	injected = "injected" // patched
	skipped  = "skipped"  // allowed, without a patch or with nothing but a mark
	denied   = "denied"
)

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
func (h *Handler) decide(ctx context.Context, req admission.Request) decision {
	if req.Operation != admissionv1.Create || req.Resource.Resource != "pods" || req.SubResource != "" {
		return skip("no_new_pod")
	}
	var pod corev1.Pod
	unknown, err := kjson.UnmarshalStrict(req.Object.Raw, &pod, kjson.DisallowUnknownFields)
	if err != nil {
		return decision{denied, "not_decoded", admission.Errored(http.StatusBadRequest, fmt.Errorf("decode the pod: %w", err))}
	}
	switch o := guard(&pod); {
	case o.problem != nil:
		return deny(o.reason, &pod, []inject.Problem{*o.problem})
	case o.text != "":
		return h.left(&pod, o.reason, "koordinator: left alone: "+o.text)
	case o.reason != "":
		return skip(o.reason)
	}
	return h.injected(ctx, &pod, req.Namespace, paths(unknown), req.DryRun != nil && *req.DryRun)
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

// injected decides about a pod by what it asks. unknown are the paths of its fields
// that are not decoded.
func (h *Handler) injected(ctx context.Context, pod *corev1.Pod, namespace string, unknown []string, dry bool) decision {
	asked, problems := annotations.Read(pod.ObjectMeta)
	asked.Unread = unknown
	log := func(level slog.Level, message string, more ...any) {
		h.log.Log(ctx, level, message, append([]any{"namespace", namespace, "pod", nameOf(pod)}, more...)...)
	}
	reason := "mistakes"
	plan := inject.Plan(pod, asked, h.settings)
	found := inject.Found{StopSignal: h.commands.StopSignal}
	if len(plan.Wanted) > 0 {
		if len(problems)+len(plan.Problems) == 0 {
			reason = "command_unknown"
		}
		found.Commands = h.commands.Find(ctx, pod, namespace, plan.Wanted, dry)
	}
	result := inject.Complete(plan, found)
	patch := inject.Rewrite(result)
	problems = append(problems, result.Problems...)
	switch {
	case len(problems) > 0:
		log(slog.LevelInfo, "pod refused", "problems", len(problems), "first", inject.Shorten(problems[0].String()))
		return deny(reason, pod, problems, result.Warnings...)
	case result.Skipped:
		log(slog.LevelWarn, "pod left alone", "reason", result.Warnings)
		if _, marked := pod.Annotations[inject.StatusAnnotation]; len(patch) > 0 || marked {
			return decision{skipped, "lookup_failed", allowed(patch, result.Warnings)}
		}
		return h.left(pod, "lookup_failed", result.Warnings...)
	case len(result.Wrapped) == 0:
		return h.left(pod, "nothing_to_wrap", result.Warnings...)
	case len(patch) > 0:
		log(slog.LevelInfo, "pod injected", "wrapped", result.Wrapped)
	}
	return decision{injected, "", allowed(patch, result.Warnings)}
}

// left is the answer to a pod that has koordinator annotations and in which
// nothing is wrapped. The pod gets the status annotation all the same: the
// policy refuse-uninjected takes that for the sign that the webhook has
// processed the pod, and rejects one without it.
func (h *Handler) left(pod *corev1.Pod, reason string, warnings ...string) decision {
	return decision{skipped, reason, allowed(mark(pod, h.settings.Version, reason), warnings)}
}
