package admission

import (
	"log/slog"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/rules"
)

// checkWarnings reports warnings that the API server would not send to the
// client.
func checkWarnings(t *testing.T, resp admission.Response) {
	t.Helper()
	for _, w := range resp.Warnings {
		if _, err := utilnet.NewWarningHeader(299, "", w); err != nil {
			t.Errorf("the API server drops the warning %q: %v", w, err)
		}
	}
}

// The API server calls the webhook before it validates names. Annotations may
// contain any characters.
func TestTheAPIServerDropsNoWarning(t *testing.T) {
	odd := func(p *corev1.Pod) {
		p.Spec.Containers[1].Name = "pro\txy\n\u0085"
		p.Annotations["koordinator.io/stop-deps"] = `"pro\txy\n\u0085": main`
	}
	rule := meshRule
	rule.Annotations = map[string]string{"koordinator.io/stop-deps": `"pro\txy\n\u0085": main`, "koordinator.io/start-deps": "main: other"}
	pods, byRule, _ := ruleHandlers(t, rule)
	raw := withPod(t, podOf(t, "Always main proxy", given("stop-timeout", "3s")), odd)
	for name, resp := range map[string]admission.Response{
		"a pod":                          pods.Handle(t.Context(), creation(raw)),
		"a pod that a rule does not fit": byRule.Handle(t.Context(), creation(raw)),
		"a pod that a rule leaves alone": pods.ByRule(rules.Rule{
			Name: "quiet", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/gate": "\"pro\\txy\\n\\u0085\": false"},
		}).Handle(t.Context(), creation(withPod(t, podOf(t, "Never main proxy", given("log-level", "debug")), func(p *corev1.Pod) { p.Spec.Containers[1].Name = "pro\txy\n\u0085" }))),
		"a template":           CheckTemplate(testSettings(), slog.New(slog.DiscardHandler))(typedPod(t, raw), field.NewPath("spec", "template")),
		"a pod with a problem": pods.Handle(t.Context(), creation(withPod(t, raw, func(p *corev1.Pod) { p.Annotations["koordinator.io/stop-delay"] = "10" }))),
	} {
		t.Run(name, func(t *testing.T) {
			if len(resp.Warnings) == 0 {
				t.Errorf("no warning: %+v", resp)
			}
			checkWarnings(t, resp)
		})
	}
}

func TestEachProblemOfARuleIsAWarningOfItsOwn(t *testing.T) {
	_, byRule, _ := ruleHandlers(t, meshRule)
	resp := byRule.Handle(t.Context(), creation(podOf(t, "Never main", nil)))
	checkWarnings(t, resp)
	want := []string{
		`koordinator rule "mesh" was not applied to this pod: metadata.annotations[koordinator.io/stop-deps][proxy]: this pod has no container "proxy"`,
		`koordinator rule "mesh" was not applied to this pod: metadata.annotations[koordinator.io/start-deps][main]: this pod has no container "proxy"`,
	}
	if len(resp.Warnings) != len(want) {
		t.Fatalf("%d warnings: %q", len(resp.Warnings), resp.Warnings)
	}
	for i, w := range resp.Warnings {
		if !strings.HasPrefix(w, want[i]) {
			t.Errorf("warning %d is %q, want %q", i, w, want[i])
		}
	}
}
