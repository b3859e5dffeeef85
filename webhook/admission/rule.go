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
// API server calls the webhook for annotated pods afterwards. A pod that already
// has all of the annotations is therefore left to that webhook, even if this one
// is called again.
func (h *RuleHandler) decide(ctx context.Context, req admission.Request) decision {
	r, d := readReview(req)
	if d != nil {
		return *d
	}
	if earlier := inject.StatusOf(&r.pod).Rule; earlier != "" && earlier != h.rule.Name {
		return skip("other_rule")
	}
	missing := h.rule.Missing(r.pod.ObjectMeta)
	if len(missing) == 0 {
		return skip("rule_not_needed")
	}
	r.rule, r.given = h.rule.Name, annotate(&r.pod, missing)
	r.keep = h.rule.FailurePolicy == admissionregistrationv1.Ignore
	return h.settle(r, h.pods.review(ctx, r))
}

// settle adjusts the decision for a pod whose author may not know about the rule:
// the pod stays unchanged if the rule's annotations have no effect on it or do
// not fit it.
func (h *RuleHandler) settle(r *review, d decision) decision {
	switch {
	case d.decision == skipped:
		d.response = admission.Allowed("").WithWarnings(d.response.Warnings...)
	case d.decision == denied && r.keep:
		return decision{skipped, "rule_unfit", admission.Allowed("").WithWarnings(
			fmt.Sprintf("koordinator rule %q was not applied to this pod: %s", h.rule.Name, d.response.Result.Message))}
	case d.decision == denied:
		h.sign(d.response.Result)
	}
	return d
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
