// Package admission answers the API server's requests about new pods and pod
// templates: with the patch of a pod, or with everything that is wrong with it.
// It writes nothing, so it answers a dry run like any other request.
package admission

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// Handler answers the API server's admission requests for new pods.
type Handler struct {
	settings inject.Settings
	reader   *annotations.Reader
	commands *commands.Finder
	metrics  *metrics
	log      *slog.Logger
}

// New returns a handler that counts its decisions in the registry.
func New(settings inject.Settings, commands *commands.Finder, registry prometheus.Registerer, log *slog.Logger) *Handler {
	return &Handler{settings: settings, reader: annotations.NewReader(), commands: commands, metrics: newMetrics(registry), log: log}
}

// Handle implements admission.Handler.
func (h *Handler) Handle(ctx context.Context, req admission.Request) admission.Response {
	began := time.Now()
	d := h.decide(ctx, req)
	h.metrics.decided(d.decision, d.reason, time.Since(began))
	return d.response
}

// Outcomes of a review.
const (
	injected = "injected" // patched
	skipped  = "skipped"  // allowed, without a patch or with one that only adds the status annotation
	denied   = "denied"
)

// decision is an answer and its labels for the metrics.
type decision struct {
	decision, reason string
	response         admission.Response
}

// skip returns the answer to a request that does not concern the webhook, or for
// a pod that is to be left unchanged.
func skip(reason string) decision { return decision{skipped, reason, admission.Allowed("")} }

// deny returns the answer for a pod with problems.
func deny(reason string, pod *corev1.Pod, problems, warnings []messages.Problem) decision {
	details := &metav1.StatusDetails{Kind: "Pod", Name: nameOf(pod)}
	return decision{denied, reason, withWarnings(refused(details, problems), messages.Strings(warnings))}
}

// decide decides about a request.
func (h *Handler) decide(ctx context.Context, req admission.Request) decision {
	r, d := readReview(req)
	if d != nil {
		return *d
	}
	r.rule = inject.StatusOf(&r.pod).Rule
	return h.review(ctx, r)
}

// review is a pod under review.
type review struct {
	pod       corev1.Pod
	namespace string
	unknown   []string // paths of its fields that are not decoded
	dry       bool

	rule  string                // the first rule that selects the pod; "": none
	given []jsonpatch.Operation // operations that add these annotations in this call
	keep  bool                  // whether the pod stays unchanged if the annotations do not fit it
}

// rejection is the log message for a pod with problems.
func (r *review) rejection() string {
	if r.keep {
		return "rule not applied"
	}
	return "pod refused"
}

// attributes identify the pod in log lines.
func (r *review) attributes() []any {
	all := []any{"namespace", r.namespace, "pod", nameOf(&r.pod)}
	if r.rule != "" {
		all = append(all, "rule", r.rule)
	}
	return all
}

// readReview decodes the pod of a request. If the request has none, it returns a
// decision instead.
func readReview(req admission.Request) (*review, *decision) {
	if req.Operation != admissionv1.Create || req.Resource.Resource != "pods" || req.SubResource != "" {
		return nil, new(skip("no_new_pod"))
	}
	r := &review{namespace: req.Namespace, dry: req.DryRun != nil && *req.DryRun}
	var err error
	if r.unknown, err = Decode(req.Object.Raw, &r.pod); err != nil {
		return nil, &decision{denied, "not_decoded", admission.Errored(http.StatusBadRequest, err)}
	}
	return r, nil
}

// review decides about a pod.
func (h *Handler) review(ctx context.Context, r *review) decision {
	switch o := guard(&r.pod, nil); {
	case len(o.notes.Problems) > 0:
		return deny(o.reason, &r.pod, o.notes.Problems, nil)
	case len(o.notes.Warnings) > 0:
		return h.left(r, o.reason, o.notes.Warnings)
	case o.reason != "":
		return skip(o.reason)
	}
	return h.injected(ctx, r)
}

// injected decides about a pod by its annotations.
func (h *Handler) injected(ctx context.Context, r *review) decision {
	pod := &r.pod
	asked, problems := h.reader.Read(pod.ObjectMeta)
	asked.Unread, asked.Rule = r.unknown, r.rule
	log := func(level slog.Level, message string, more ...any) {
		h.log.Log(ctx, level, message, append(r.attributes(), more...)...)
	}
	reason := "mistakes"
	plan := inject.Plan(pod, asked, h.settings)
	found := inject.Found{StopSignal: h.commands.StopSignal}
	if len(plan.Wanted) > 0 {
		if len(problems)+len(plan.Problems) == 0 {
			reason = "command_unknown"
		}
		found.Commands = h.commands.Find(ctx, pod, r.namespace, plan.Wanted, r.dry)
	}
	result := inject.Complete(plan, found)
	patch := inject.Rewrite(result)
	problems = append(problems, result.Problems...)
	switch {
	case len(problems) > 0:
		log(slog.LevelInfo, r.rejection(), "problems", len(problems), "first", problems[0].String())
		return deny(reason, pod, problems, result.Warnings)
	case result.Skipped:
		log(slog.LevelWarn, "pod left alone", "reason", messages.Strings(result.Warnings))
		if _, marked := pod.Annotations[inject.StatusAnnotation]; len(patch) > 0 || marked {
			return decision{skipped, "lookup_failed", allowed(patch, result.Warnings)}
		}
		return h.left(r, "lookup_failed", result.Warnings)
	case len(result.Wrapped) == 0:
		return h.left(r, "nothing_to_wrap", result.Warnings)
	case len(patch) > 0:
		log(slog.LevelInfo, "pod injected", "wrapped", result.Wrapped)
	}
	return decision{injected, "", allowed(append(r.given, patch...), result.Warnings)}
}

// left returns the answer for a pod that a rule selects or that has koordinator
// annotations, but that has no wrapped containers. The pod gets the status
// annotation nevertheless, because the policy refuse-uninjected takes it as proof
// that the webhook has processed the pod, and rejects pods without it.
func (h *Handler) left(r *review, reason string, warnings []messages.Problem) decision {
	return decision{skipped, reason, allowed(mark(&r.pod, inject.Status{Version: h.settings.Version, Rule: r.rule, Reason: reason}), warnings)}
}
