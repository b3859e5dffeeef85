package admission

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestOnlyNewPodsAreLookedAt(t *testing.T) {
	pod := podOf(t, "Never main", map[string]string{"koordinator.io/start-deps": "main: nobody"})
	create := admissionv1.AdmissionRequest{
		Operation: admissionv1.Create,
		Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:    runtime.RawExtension{Raw: pod},
	}
	for name, change := range map[string]func(r *admissionv1.AdmissionRequest){
		"an update":                             func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update },
		"a subresource":                         func(r *admissionv1.AdmissionRequest) { r.SubResource = "ephemeralcontainers" },
		"another resource":                      func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "podtemplates" },
		"a pod without koordinator annotations": func(r *admissionv1.AdmissionRequest) { r.Object.Raw = podOf(t, "Never main", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			req := create
			change(&req)
			resp := testHandler().
				Handle(context.Background(), admission.Request{AdmissionRequest: req})
			if !resp.Allowed || len(resp.Patch) > 0 || len(resp.Warnings) > 0 {
				t.Errorf("have %+v, want it allowed as it is", resp)
			}
		})
	}
	if resp := ask(t, []byte(`{"spec":`)); resp.Allowed || resp.Result.Code != 400 {
		t.Errorf("half a pod: have %+v, want 400", resp)
	}
}

// specOf returns the spec of a container as the wrapper reads it.
func specOf(t *testing.T, pod *corev1.Pod, name string) spec.Spec {
	t.Helper()
	for _, c := range pod.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == name && e.Name == spec.Env {
				s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$"))
				if err != nil {
					t.Fatal(err)
				}
				return s
			}
		}
	}
	t.Fatalf("container %q has no spec", name)
	return spec.Spec{}
}

// The API server checks sizes only after the webhook.
func TestWhatIsTooLargeIsRefusedAtOnce(t *testing.T) {
	var chain, many, typos strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&chain, "a%d: a%d=exited\n", i, i+1)
	}
	for i := range 2000 {
		fmt.Fprintf(&many, " c%d", i)
		fmt.Fprintf(&typos, "main%d: x\n", i)
	}
	var full, stops, exits strings.Builder // with contradictions
	for i := range 200 {
		fmt.Fprintf(&full, " c%d", i)
		fmt.Fprintf(&stops, "c%d: [", i)
		fmt.Fprintf(&exits, "c%d: [", i)
		for k := max(0, i-10); k < i; k++ {
			fmt.Fprintf(&exits, "c%d=exited, ", k)
			fmt.Fprintf(&stops, "c%d, ", k)
		}
		stops.WriteString("]\n")
		exits.WriteString("]\n")
	}
	trim := strings.NewReplacer("c0: []\n", "")
	for name, tt := range map[string]struct{ containers, deps, stops, want string }{
		"annotations": {"Never main", chain.String(), "", "metadata.annotations: the koordinator annotations have"},
		"containers":  {"Never" + many.String(), "c0: c1", "", "spec.containers: the pod has 2000 containers"},
		"problems":    {"Never main", typos.String(), "", "(20 of "},
		"contradictions": {
			"Never" + full.String(), trim.Replace(exits.String()), trim.Replace(stops.String()), "(20 of ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			annotations := map[string]string{"koordinator.io/start-deps": tt.deps}
			if tt.stops != "" {
				annotations["koordinator.io/stop-deps"] = tt.stops
			}
			resp := ask(t, podOf(t, tt.containers, annotations))
			if resp.Allowed || !strings.Contains(resp.Result.Message, tt.want) || len(resp.Result.Message) > 32<<10 {
				t.Errorf("allowed %v, %d bytes: %.300s", resp.Allowed, len(resp.Result.Message), resp.Result.Message)
			}
		})
	}
}

// A pod with inject: "false" stays unchanged whatever else is in it.
func TestInjectFalseWinsOverEverything(t *testing.T) {
	var many strings.Builder
	for i := range 201 {
		fmt.Fprintf(&many, " c%d", i)
	}
	for name, tt := range map[string]struct {
		containers string
		change     func(pod *corev1.Pod)
	}{
		"an invalid annotation": {"Never main", func(p *corev1.Pod) { p.Annotations["koordinator.io/start-deps"] = "{" }},
		"long annotations":      {"Never main", func(p *corev1.Pod) { p.Annotations["koordinator.io/start-deps"] = strings.Repeat("x", 70<<10) }},
		"many containers":       {"Never" + many.String(), func(*corev1.Pod) {}},
		"a Windows pod":         {"Never main", func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }},
		"a mirror pod":          {"Never main", func(p *corev1.Pod) { p.Annotations[corev1.MirrorPodAnnotationKey] = "x" }},
	} {
		t.Run(name, func(t *testing.T) {
			raw := withPod(t, podOf(t, tt.containers, given("inject", "false")), tt.change)
			pods, byRule, registry := ruleHandlers(t, meshRule)
			for _, h := range []admission.Handler{pods, byRule} {
				if resp := h.Handle(t.Context(), creation(raw)); !resp.Allowed || len(resp.Patch) > 0 || len(resp.Warnings) > 0 {
					t.Errorf("%T: allowed %v, patch %s, warnings %q: %.300s", h, resp.Allowed, resp.Patch, resp.Warnings, resp.Result.Message)
				}
			}
			if decisions, _ := counted(t, registry); decisions["skipped/inject_false"] != 2 {
				t.Errorf("counted: %v", decisions)
			}
			resp := CheckTemplate(testSettings(), slog.New(slog.DiscardHandler))(typedPod(t, raw), field.NewPath("spec", "template"))
			if !resp.Allowed || len(resp.Warnings) > 0 {
				t.Errorf("as a template: %+v", resp)
			}
		})
	}
}

// Clients that list causes show nothing else. The causes must therefore contain
// the one name of a pod that was restored from a backup, and report that there
// are more problems than are listed.
func TestWhatClientsThatListCausesShow(t *testing.T) {
	var typos strings.Builder
	for i := range 30 {
		fmt.Fprintf(&typos, "main%d: x\n", i)
	}
	raw := bytes.Replace(podOf(t, "Never main", given("start-deps", typos.String())), []byte(`"metadata":{`), []byte(`"metadata":{"generateName":"web-",`), 1)
	details := ask(t, raw).Result.Details
	if details.Name != "web" {
		t.Errorf("the name is %q", details.Name)
	}
	if n := len(details.Causes); n != 21 || !strings.Contains(details.Causes[n-1].Message, "10 more problems") {
		t.Errorf("%d causes, the last is %v", n, details.Causes[n-1])
	}
}
