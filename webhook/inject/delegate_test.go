package inject_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// meshStop is the stop of istio-proxy that both main and other carry out.
var meshStop = spec.Delegation{
	Container: "istio-proxy", Request: spec.Request{Method: "POST", URL: "http://127.0.0.1:15020/quitquitquit"}, StopWhen: spec.StopAll,
	StopDeps: []spec.Dependency{{Container: "main", Condition: spec.Exited}, {Container: "other", Condition: spec.Exited}},
}

func TestB2AMeshProxyIsStoppedTheSameWayWhicheverWebhookComesFirst(t *testing.T) {
	annotations := sketch.Annotations("stop-deps", `istio-proxy: "*"`, "stop-when", "all")
	first := sketch.Pod("Never main other", annotations)
	completed := inject.Complete(plan(first), inject.Found{})
	if len(completed.Problems)+len(completed.Warnings) > 0 {
		t.Fatal(words(completed.Notes))
	}
	after := rewritten(t, first, inject.Rewrite(completed))
	after.Spec.Containers = append(after.Spec.Containers, sketch.Pod("Never istio-proxy", nil).Spec.Containers...)
	for name, pod := range map[string]map[string]spec.Spec{
		"before": specsOf(t, sketch.Pod("Never main other istio-proxy", annotations)), "after": specsOf(t, first),
	} {
		if _, wrapped := pod["istio-proxy"]; wrapped {
			t.Errorf("%s: the proxy is wrapped", name)
		}
		for _, main := range []string{"main", "other"} {
			if diff := cmp.Diff([]spec.Delegation{meshStop}, pod[main].Delegated); diff != "" {
				t.Errorf("%s, %s: -want +have\n%s", name, main, diff)
			}
			if len(pod[main].Wrapped) != 1 || pod[main].Mode != spec.Supervise {
				t.Errorf("%s, %s: reads the records of %q in mode %s", name, main, pod[main].Wrapped, pod[main].Mode)
			}
		}
	}
	again := inject.Complete(plan(after), inject.Found{})
	if patch := inject.Rewrite(again); len(again.Problems) > 0 || len(patch) > 0 {
		t.Errorf("once the proxy is there, something changes: %v, %s", patch, words(again.Notes))
	}
}

// Istio adds its proxy as a native sidecar by default since version 1.27.
func TestAKnownSidecarThatIsNativeIsStoppedByTheKubelet(t *testing.T) {
	native := func(pod *corev1.Pod) {
		late := corev1.Container{Name: "istio-proxy", Image: "istio", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
		pod.Spec.InitContainers = append([]corev1.Container{late}, pod.Spec.InitContainers...)
	}
	const warning = `[istio-proxy]: the setting has no effect, because "istio-proxy" is a native sidecar`
	for _, tt := range []struct {
		name, pod string
		pairs     []string
		wrapped   []string // if the proxy is there at the first call
		later     []string // if it is added after that call
	}{
		{"its stop only", "Never main other", []string{"stop-deps", `istio-proxy: "*"`, "stop-when", "all"}, nil, []string{"main", "other"}},
		{"its own request", "Never main", []string{"stop-deps", "istio-proxy: main", "stop-when", "istio-proxy: all", "stop-http", "{istio-proxy: 'POST http://127.0.0.1:1/'}"}, nil, []string{"main"}},
		{"a wait for it, too", "Never main", []string{"start-deps", "main: istio-proxy", "stop-deps", "istio-proxy: main"}, []string{"main"}, []string{"main"}},
		{"in every spec", "Never main", []string{"stop-deps", "istio-proxy: main", "gate", "istio-proxy: false"}, nil, []string{"main"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(pod *corev1.Pod, wrapped []string) {
				t.Helper()
				done := inject.Complete(plan(pod), inject.Found{})
				if len(done.Problems) > 0 || !slices.Equal(done.Wrapped, wrapped) || !strings.Contains(words(done.Notes), warning) {
					t.Errorf("%q are wrapped, want %q: %s", done.Wrapped, wrapped, words(done.Notes))
				}
				after := rewritten(t, pod, inject.Rewrite(done))
				for name, s := range specsWithin(t, after) {
					if len(s.Delegated) > 0 {
						t.Errorf("%s stops %v", name, s.Delegated)
					}
				}
				if patch := inject.Rewrite(inject.Complete(plan(after), inject.Found{})); len(patch) > 0 {
					t.Errorf("a later call changes %v", patch)
				}
			}
			annotations := sketch.Annotations(tt.pairs...)
			first := sketch.Pod(tt.pod, annotations)
			native(first)
			check(first, tt.wrapped)
			second := injected(t, tt.pod, annotations)
			native(second)
			check(second, tt.later)
		})
	}
	pod := sketch.Pod("Never sidecar:proxy main", sketch.Annotations("stop-deps", "proxy: main"))
	if have := words(inject.Complete(plan(pod), inject.Found{}).Notes); !strings.Contains(have, "KO214") {
		t.Errorf("a native sidecar that is not known: %s", have)
	}
}

func TestDelegatedStopsThatAreRefusedOrWarnedOf(t *testing.T) {
	for _, tt := range []struct {
		name, pod string
		pairs     []string
		want      string
	}{
		{
			"no stop request is known", "Never main",
			[]string{"stop-deps", "otc-container: main"},
			`metadata.annotations[koordinator.io/stop-deps][otc-container]: "otc-container" is not in this pod, and koordinator has no stop request for it. Let the OpenTelemetry operator`,
		},
		{
			"more than its stop is asked of an absent one", "Never main",
			[]string{"stop-deps", "istio-proxy: main", "start-deps", "istio-proxy: main=started"},
			`koordinator can only stop a container that another webhook adds later (stop-deps, stop-when, stop-http). Remove the other settings [KO233]`,
		},
		{
			"a container that is not in the pod", "Never main",
			[]string{"stop-deps", "ghost: main", "stop-http", "{ghost: 'POST http://127.0.0.1:1/'}"},
			`no container "ghost"`,
		},
		{
			"an endpoint that is off by default", "Never main",
			[]string{"stop-deps", "linkerd-proxy: main"},
			`Warning: metadata.annotations[koordinator.io/stop-deps][linkerd-proxy]: "linkerd-proxy" accepts its stop request only if the request is enabled. Set the annotation config.linkerd.io/proxy-admin-shutdown: "enabled" on the pod`,
		},
		{"an unknown target", "Never main", []string{"stop-deps", "istio-proxy: nobody"}, `no container "nobody"`},
		{"an init container", "Never init:migrate main", []string{"stop-deps", "istio-proxy: migrate"}, `"migrate" is an init container`},
		{"mode exec", "Never main", []string{"stop-deps", "istio-proxy: main", "mode", "main: exec"}, `it stops "istio-proxy" when it exits`},
		{"a pod that does not end", "Always main", []string{"stop-deps", "istio-proxy: main"}, `does not stop "istio-proxy" at run time`},
		{"all others, of which there are none", "Never main", []string{"stop-deps", `main: "*"`}, `"*" matches no container`},
		{"no wrapper can carry it out", "Never main istio-proxy", []string{"start-deps", "main: istio-proxy=exited", "stop-deps", "istio-proxy: main"}, `"istio-proxy"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have := words(inject.Complete(plan(sketch.Pod(tt.pod, sketch.Annotations(tt.pairs...))), inject.Found{}).Notes)
			if !strings.Contains(have, tt.want) {
				t.Errorf("have %s\nwant %s", have, tt.want)
			}
		})
	}
}

func TestAContainerWhoseCommandIsUnknownIsStoppedByARequest(t *testing.T) {
	pod := sketch.Pod("Never main proxy", sketch.Annotations("stop-deps", "proxy: main", "stop-http", "{proxy: 'POST http://127.0.0.1:1/quit'}"))
	pod.Spec.Containers[1].Command = nil
	completed := inject.Complete(plan(pod), inject.Found{Commands: map[string]inject.Command{}})
	if len(completed.Problems) > 0 || !slices.Equal(completed.Wrapped, []string{"main"}) {
		t.Fatalf("wrapped %q: %s", completed.Wrapped, words(completed.Notes))
	}
}

func TestReadinessOfAKnownSidecarNeedsNoAPI(t *testing.T) {
	pod := sketch.Pod("Never main istio-proxy", sketch.Annotations("start-deps", "main: istio-proxy", "source", "local"))
	main := specsOf(t, pod)["main"]
	if diff := cmp.Diff(map[string]string{"istio-proxy": "http://127.0.0.1:15021/healthz/ready"}, main.ReadyEndpoints); diff != "" {
		t.Errorf("-want +have\n%s", diff)
	}
	for _, pairs := range [][]string{
		{"start-deps", "main: istio-proxy=started", "source", "local"}, {"start-deps", "main: vault-agent", "source", "local"},
	} {
		have := words(plan(sketch.Pod("Never main istio-proxy vault-agent", sketch.Annotations(pairs...))).Notes)
		if !strings.Contains(have, "source: pod") {
			t.Errorf("%q: %s, want the remedy source: pod", pairs, have)
		}
	}
	pod = sketch.Pod("Never main istio-proxy", sketch.Annotations("start-deps", "main: istio-proxy", "source", "pod"))
	if have := specsOf(t, pod)["main"].ReadyEndpoints; have != nil {
		t.Errorf("source: pod uses %v", have)
	}
}

func TestAContainerThatOnlyWaitsForAnEndpointIsWrappedAndGated(t *testing.T) {
	pod := sketch.Pod("Never init:migrate main proxy", sketch.Annotations("start-deps", "{main: 'tcp://db:5432, http://web/ready?', migrate: 'dns://db'}", "source", "local"))
	completed := inject.Complete(plan(pod), inject.Found{})
	if !slices.Equal(completed.Wrapped, []string{"migrate", "main"}) || len(completed.Problems) > 0 {
		t.Fatalf("wrapped %q: %s", completed.Wrapped, words(completed.Notes))
	}
	after := rewritten(t, pod, inject.Rewrite(completed))
	if main := after.Spec.Containers[0]; main.StartupProbe == nil {
		t.Error("main has no gate")
	}
	main := specsOf(t, pod)["main"]
	want := []spec.Endpoint{{URL: "tcp://db:5432"}, {URL: "http://web/ready", Optional: true}}
	if diff := cmp.Diff(want, main.StartEndpoints); diff != "" || main.Mode != spec.ExecMode {
		t.Errorf("mode %s, endpoints -want +have\n%s", main.Mode, diff)
	}
}

func TestAllOthers(t *testing.T) {
	for _, tt := range []struct {
		name, pod string
		pairs     []string
		container string
		start     string
		stop      string
	}{
		{"every other one starts after the proxy", "Never main log proxy", []string{"start-deps", `"*": proxy`}, "log", "proxy=ready", ""},
		{"the named one does not wait for itself", "Never main log proxy", []string{"start-deps", `"*": proxy`}, "proxy", "", ""},
		{"an entry of its own takes precedence", "Never main log proxy", []string{"start-deps", `{"*": proxy, log: main=started}`}, "log", "main=started", ""},
		{"for an endpoint, too", "Never main log", []string{"start-deps", `"*": "tcp://db:5432"`}, "log", "tcp://db:5432", ""},
		{"a proxy stops after all others", "Never main log proxy", []string{"stop-deps", `proxy: "*"`, "stop-when", "all"}, "proxy", "", "main=exited log=exited"},
		{"with a condition, and one that is named", "Never main log proxy", []string{"stop-deps", `proxy: "*=succeeded, main=failed"`}, "proxy", "", "log=succeeded main=failed"},
		{"not for init containers and those that other webhooks add", "Never init:migrate main istio-proxy proxy", []string{"stop-deps", `proxy: "*"`}, "proxy", "", "main=exited"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := specsOf(t, sketch.Pod(tt.pod, sketch.Annotations(tt.pairs...)))[tt.container]
			var start, stop []string
			for _, d := range s.StartDeps {
				start = append(start, d.String())
			}
			for _, e := range s.StartEndpoints {
				start = append(start, e.String())
			}
			for _, d := range s.StopDeps {
				stop = append(stop, d.String())
			}
			if strings.Join(start, " ") != tt.start || strings.Join(stop, " ") != tt.stop {
				t.Errorf("start %q, stop %q", start, stop)
			}
		})
	}
}
