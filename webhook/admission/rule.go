package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"gomodules.xyz/jsonpatch/v2"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rules"
)

// RuleHandler answers the API server's admission requests for new pods that a
// rule of the operator selects. The API server has evaluated the rule's
// selectors.
type RuleHandler struct {
	pods *Handler
	rule rules.Rule
}

// ByRule returns a handler for the pods that a rule selects.
func (h *Handler) ByRule(rule rules.Rule) *RuleHandler { return &RuleHandler{pods: h, rule: rule} }

// Handle implements admission.Handler.
func (h *RuleHandler) Handle(ctx context.Context, req admission.Request) admission.Response {
	began := time.Now()
	d := h.decide(ctx, req)
	h.pods.metrics.decided(d.decision, d.reason, time.Since(began))
	h.pods.metrics.ruled(h.rule.Name, d.decision)
	return d.response
}

// decide adds the rule's annotations to a pod and decides about the result. The
// API server calls the webhook for annotated pods afterwards. A pod that the rule
// has already given all of the annotations is therefore left to that webhook, even
// if this one is called again.
func (h *RuleHandler) decide(ctx context.Context, req admission.Request) decision {
	r, d := readReview(req)
	if d != nil {
		return *d
	}
	first := inject.StatusOf(&r.pod).Rule
	if first != "" && first != h.rule.Name {
		return skip("other_rule")
	}
	r.rule = h.rule.Name
	own := *r
	missing := h.rule.Missing(r.pod.ObjectMeta)
	if len(missing) == 0 {
		if first == h.rule.Name {
			return skip("rule_not_needed")
		}
		return h.without(ctx, &own, skip("rule_not_needed"))
	}
	r.given = annotate(&r.pod, missing)
	r.keep = h.rule.FailurePolicy == admissionregistrationv1.Ignore
	switch d := h.pods.review(ctx, r); {
	case d.decision == skipped:
		return h.without(ctx, &own, d)
	case d.decision == denied && r.keep:
		d.response = withWarnings(admission.Allowed(""), h.unfit(d.response.Result))
		return h.without(ctx, &own, decision{skipped, "rule_unfit", d.response})
	case d.decision == denied:
		h.sign(d.response.Result)
		return d
	default: // injected
		return d
	}
}

// without decides about a pod that gets no annotations from the rule, for the
// reason in d: the annotations have no effect on the pod, do not fit it, or are
// all its own. The status annotation contains the name of the rule nevertheless,
// so that no later rule applies to the pod. It is also taken as proof that the pod
// was processed, so the pod's own annotations are processed here.
func (h *RuleHandler) without(ctx context.Context, own *review, d decision) decision {
	var result decision
	if annotations.Present(own.pod.ObjectMeta) {
		result = h.pods.review(ctx, own)
	} else {
		result = h.pods.left(own, d.reason, nil)
	}
	warnings := slices.DeleteFunc(d.response.Warnings, func(w string) bool { return slices.Contains(result.response.Warnings, w) })
	result.response = withWarnings(result.response, warnings)
	if result.decision != denied {
		result.decision, result.reason = d.decision, d.reason
	}
	return result
}

// unfit returns the warnings for a pod that the rule does not fit, one for each
// cause of its rejection.
func (h *RuleHandler) unfit(result *metav1.Status) []string {
	warnings := make([]string, len(result.Details.Causes))
	for i, cause := range result.Details.Causes {
		warnings[i] = fmt.Sprintf("koordinator rule %q was not applied to this pod: %s: %s", h.rule.Name, cause.Field, cause.Message)
	}
	return warnings
}

// sign adds the name of the rule to a rejection: to its message, and to its
// causes, which kubectl shows instead of the message.
func (h *RuleHandler) sign(result *metav1.Status) {
	name := fmt.Sprintf("koordinator rule %q: ", h.rule.Name)
	result.Message = name + result.Message
	if result.Details == nil {
		return
	}
	for i := range result.Details.Causes {
		result.Details.Causes[i].Message = name + result.Details.Causes[i].Message
	}
}

// annotate adds annotations to a pod and returns the corresponding patch.
func annotate(pod *corev1.Pod, more map[string]string) []jsonpatch.Operation {
	if len(pod.Annotations) == 0 {
		pod.Annotations = maps.Clone(more)
		return []jsonpatch.Operation{jsonpatch.NewOperation("add", "/metadata/annotations", more)}
	}
	pod.Annotations = maps.Clone(pod.Annotations)
	var patch []jsonpatch.Operation
	for _, key := range slices.Sorted(maps.Keys(more)) {
		pod.Annotations[key] = more[key]
		patch = append(patch, annotation(key, more[key]))
	}
	return patch
}
