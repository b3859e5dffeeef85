package admission

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rules"
)

// meshRule stops "proxy" after "main".
var meshRule = rules.Rule{
	Name: "mesh", FailurePolicy: admissionregistrationv1.Ignore,
	Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy", "koordinator.io/stop-deps": "proxy: main"},
}

// ruleHandlers returns a handler of annotated pods and one of a rule, with a
// common registry.
func ruleHandlers(t *testing.T, rule rules.Rule) (pods *Handler, byRule *RuleHandler, registry *prometheus.Registry) {
	t.Helper()
	registry = prometheus.NewRegistry()
	silent := slog.New(slog.DiscardHandler)
	c, err := commands.New(commands.Settings{}, nil, registry, silent)
	if err != nil {
		t.Fatal(err)
	}
	pods = New(testSettings(), c, registry, silent)
	return pods, pods.ByRule(rule), registry
}

// typedPod returns a pod decoded to the API types.
func typedPod(t *testing.T, raw []byte) *corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	return &pod
}

func TestARulesPodIsInjectedAsIfItHadTheAnnotationsItself(t *testing.T) {
	for _, others := range []map[string]string{nil, {"example.com/team": "a"}, {"koordinator.io/stop-timeout": "proxy: 9s"}} {
		pods, byRule, _ := ruleHandlers(t, meshRule)
		raw := podOf(t, "Never main proxy", others)
		annotated := withPod(t, raw, func(p *corev1.Pod) { annotate(p, meshRule.Annotations) })
		want := typedPod(t, patched(t, annotated, pods.Handle(t.Context(), creation(annotated))))
		have := typedPod(t, patched(t, raw, byRule.Handle(t.Context(), creation(raw))))
		if rule := inject.StatusOf(have).Rule; rule != "mesh" {
			t.Errorf("%v: the status annotation names the rule %q", others, rule)
		}
		delete(want.Annotations, inject.StatusAnnotation)
		delete(have.Annotations, inject.StatusAnnotation)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%v (-annotated +by rule):\n%s", others, diff)
		}
	}
}

// The API server calls the webhook for annotated pods after the rule's, and calls
// each of them again if another webhook has changed the pod since.
func TestLaterCallsKeepWhatARuleHasDone(t *testing.T) {
	pods, byRule, _ := ruleHandlers(t, meshRule)
	raw := podOf(t, "Never main proxy", nil)
	once := patched(t, raw, byRule.Handle(t.Context(), creation(raw)))
	for name, h := range map[string]admission.Handler{"annotated pods": pods, "the rule": byRule, "another rule": pods.ByRule(rules.Rule{
		Name: "other", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/essential": "[main]"},
	})} {
		if resp := h.Handle(t.Context(), creation(once)); !resp.Allowed || len(resp.Patch) > 0 {
			t.Errorf("%s: %+v", name, resp)
		}
	}
	grown := withPod(t, once, func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "late", Image: "late:1", Command: []string{"/late"}})
	})
	if rule := inject.StatusOf(typedPod(t, patched(t, grown, pods.Handle(t.Context(), creation(grown))))).Rule; rule != "mesh" {
		t.Errorf("after a later call the status annotation names the rule %q", rule)
	}
}

func TestAnAnnotationOfThePodWinsOverTheRule(t *testing.T) {
	_, byRule, _ := ruleHandlers(t, meshRule)
	raw := podOf(t, "Never main proxy", given("stop-deps", "main: proxy"))
	pod := typedPod(t, patched(t, raw, byRule.Handle(t.Context(), creation(raw))))
	if have := pod.Annotations["koordinator.io/stop-deps"]; have != "main: proxy" {
		t.Errorf("stop-deps is %q", have)
	}
	if have := pod.Annotations["koordinator.io/start-deps"]; have != "main: proxy" {
		t.Errorf("start-deps is %q", have)
	}
}

func TestAPodThatDisablesInjectionIsLeftAlone(t *testing.T) {
	_, byRule, _ := ruleHandlers(t, meshRule)
	raw := podOf(t, "Never main proxy", given("inject", "false"))
	if resp := byRule.Handle(t.Context(), creation(raw)); !resp.Allowed || len(resp.Patch) > 0 {
		t.Errorf("%+v", resp)
	}
}

func TestAPodThatARuleDoesNotFit(t *testing.T) {
	raw := podOf(t, "Never main", nil)
	_, byRule, registry := ruleHandlers(t, meshRule)
	resp := byRule.Handle(t.Context(), creation(raw))
	if !resp.Allowed || !strings.Contains(string(resp.Patch), "rule_unfit") || len(resp.Warnings) != 2 ||
		!strings.HasPrefix(resp.Warnings[0], `koordinator rule "mesh" was not applied to this pod: `) || !strings.Contains(resp.Warnings[0], `"proxy"`) {
		t.Errorf("failurePolicy Ignore: %+v", resp)
	}
	if decisions, _ := counted(t, registry); decisions["skipped/rule_unfit"] != 1 {
		t.Errorf("counted: %v", decisions)
	}
	strict := meshRule
	strict.FailurePolicy = admissionregistrationv1.Fail
	_, byRule, _ = ruleHandlers(t, strict)
	resp = byRule.Handle(t.Context(), creation(raw))
	if resp.Allowed || !strings.HasPrefix(resp.Result.Message, `koordinator rule "mesh": `) || !strings.HasPrefix(resp.Result.Details.Causes[0].Message, `koordinator rule "mesh": `) {
		t.Errorf("failurePolicy Fail: %+v", resp)
	}
}

// TestOnlyTheFirstRuleThatSelectsAPodApplies calls the webhooks in the order in which the API
// server calls them, for pods that two rules select, and again for a reinvocation.
func TestOnlyTheFirstRuleThatSelectsAPodApplies(t *testing.T) {
	later := rules.Rule{Name: "later", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/essential": "[main]"}}
	quiet := rules.Rule{Name: "mesh", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/log-level": "debug"}}
	absent := rules.Rule{Name: "mesh", FailurePolicy: admissionregistrationv1.Ignore, Annotations: map[string]string{"koordinator.io/stop-deps": "absent: main"}}
	windows := withPod(t, podOf(t, "Never main proxy", nil), func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} })
	for _, tt := range []struct {
		name    string
		first   rules.Rule
		raw     []byte
		wrapped int
		reason  string
	}{
		{"its annotations are added", meshRule, podOf(t, "Never main proxy", nil), 2, ""},
		{"the pod has them itself", meshRule, podOf(t, "Never main proxy", given("start-deps", "main: proxy", "stop-deps", "proxy: main")), 2, ""},
		{"they do not fit", absent, podOf(t, "Never main proxy", nil), 0, "rule_unfit"},
		{"they do not fit an annotated pod", absent, podOf(t, "Never main proxy", given("start-deps", "main: proxy")), 2, ""},
		{"they have no effect", quiet, podOf(t, "Never main proxy", nil), 0, "nothing_to_wrap"},
		{"it is a Windows pod", meshRule, windows, 0, "windows"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pods, byFirst, _ := ruleHandlers(t, tt.first)
			calls := []admission.Handler{byFirst, pods.ByRule(later), pods}
			raw := tt.raw
			for i, h := range append(calls, calls...) {
				resp := h.Handle(t.Context(), creation(raw))
				if !resp.Allowed || i > 0 && len(resp.Patch) > 0 {
					t.Fatalf("call %d: %+v", i, resp)
				}
				raw = patched(t, raw, resp)
			}
			pod := typedPod(t, raw)
			status := inject.StatusOf(pod)
			if _, both := pod.Annotations["koordinator.io/essential"]; both || status.Rule != "mesh" || len(status.Wrapped) != tt.wrapped || status.Reason != tt.reason {
				t.Errorf("annotations %v", pod.Annotations)
			}
		})
	}
}

// TestARuleThatDidNotFitIsTriedAgain covers a container that another webhook adds later.
func TestARuleThatDidNotFitIsTriedAgain(t *testing.T) {
	_, byRule, _ := ruleHandlers(t, meshRule)
	raw := podOf(t, "Never main", nil)
	marked := patched(t, raw, byRule.Handle(t.Context(), creation(raw)))
	grown := withPod(t, marked, func(p *corev1.Pod) {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy:1", Command: []string{"/proxy"}})
	})
	if status := inject.StatusOf(typedPod(t, patched(t, grown, byRule.Handle(t.Context(), creation(grown))))); status.Rule != "mesh" || len(status.Wrapped) != 2 || status.Reason != "" {
		t.Errorf("%+v", status)
	}
}

func TestARuleThatHasNoEffectChangesOnlyTheStatus(t *testing.T) {
	_, byRule, _ := ruleHandlers(t, rules.Rule{Name: "quiet", FailurePolicy: admissionregistrationv1.Fail, Annotations: map[string]string{"koordinator.io/log-level": "debug"}})
	raw := podOf(t, "Never main proxy", nil)
	resp := byRule.Handle(t.Context(), creation(raw))
	const mark = `[{"op":"add","path":"/metadata/annotations","value":{"koordinator.io/status":"{\"version\":\"test\",\"rule\":\"quiet\",\"reason\":\"nothing_to_wrap\"}"}}]`
	if !resp.Allowed || string(resp.Patch) != mark {
		t.Errorf("%+v, patch %s", resp, resp.Patch)
	}
}

func TestPodsOfARuleAreCountedByItsName(t *testing.T) {
	_, byRule, registry := ruleHandlers(t, meshRule)
	for _, raw := range [][]byte{podOf(t, "Never main proxy", nil), podOf(t, "Never main", nil), podOf(t, "Never main", nil)} {
		byRule.Handle(t.Context(), creation(raw))
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "koordinator_rule_pods_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			have[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	if diff := cmp.Diff(map[string]float64{"mesh injected": 1, "mesh skipped": 2}, have); diff != "" {
		t.Error(diff)
	}
}
