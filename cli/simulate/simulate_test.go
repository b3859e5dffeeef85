package simulate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/history"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/test/corpus"
)

// pod returns the order of a pod with annotations. containers lists names, each with an
// optional kind: "main proxy:ready setup:init log:sidecar" has a container with a readiness
// probe, an init container and a native sidecar.
func pod(t *testing.T, policy, containers string, annotations ...string) order.Order {
	t.Helper()
	p := &corev1.Pod{}
	p.Name, p.Spec.RestartPolicy, p.Annotations = "p", corev1.RestartPolicy(policy), map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		p.Annotations["koordinator.io/"+annotations[i]] = annotations[i+1]
	}
	always := corev1.ContainerRestartPolicyAlways
	for word := range strings.FieldsSeq(containers) {
		name, kind, _ := strings.Cut(word, ":")
		c := corev1.Container{Name: name, Image: "x", Command: []string{"x"}}
		switch kind {
		case "ready":
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		case "sidecar":
			c.RestartPolicy = &always
		}
		if kind == "init" || kind == "sidecar" {
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
			continue
		}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	o, err := order.Of(p, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// story returns the events in one line: "main started 1s, main exited 3s".
func story(out Outcome, kinds ...history.Kind) string {
	var parts []string
	for _, e := range out.History.Events {
		if slices.Contains(kinds, e.Kind) {
			text := fmt.Sprintf("%s %s %s", e.Container, e.Kind, e.At.Sub(epoch()))
			if e.Kind == history.Terminated {
				text = fmt.Sprintf("%s=%d %s", e.Container, e.ExitCode, e.At.Sub(epoch()))
			}
			parts = append(parts, strings.TrimSpace(text))
		}
	}
	return strings.Join(parts, ", ")
}

func TestStories(t *testing.T) {
	at := func(d time.Duration, code int) End { return End{At: d, Code: code} }
	for name, test := range map[string]struct {
		pod    order.Order
		script Script
		want   string // starts and ends of containers
		phase  string
		hangs  int
	}{
		"init containers run one after another, native sidecars on": {
			pod:  pod(t, "Never", "setup:init log:sidecar main"),
			want: "setup started 0s, setup=0 1s, log started 1s, main started 1s, main=0 6s, log=0 6.2s", phase: "Succeeded",
		},
		"an init container that fails ends the pod": {
			pod: pod(t, "Never", "setup:init main"), script: Script{Runs: map[string]End{"setup": at(time.Second, 3)}},
			want: "setup started 0s, setup=3 1s", phase: "Failed",
		},
		"the proxy stops with main": {
			pod:  pod(t, "Never", "main proxy:ready", "start-deps", "main: proxy", "stop-deps", "proxy: main"),
			want: "proxy started 0s, main started 1s, main=0 6s, proxy=0 6.2s", phase: "Succeeded",
		},
		"a failure is restarted, with the kubelet's delays": {
			pod: pod(t, "OnFailure", "main"), script: Script{Runs: map[string]End{"main": at(time.Second, 1)}},
			want:  "main started 0s, main=1 1s, main started 1s, main=1 2s, main started 12s, main=1 13s, main started 33s, main=1 34s, main started 1m14s, main=1 1m15s, main started 2m35s, main=1 2m36s",
			phase: "Running", hangs: 1,
		},
		"what does not stop is killed after its stop timeout": {
			pod:    pod(t, "Never", "main proxy", "stop-deps", "proxy: main", "stop-timeout", "proxy: 3s"),
			script: Script{Stops: map[string]time.Duration{"proxy": Never}},
			want:   "main started 0s, proxy started 0s, main=0 5s, proxy=0 8s", phase: "Succeeded",
		},
		"what does not stop with the pod is killed after the grace period": {
			pod:    pod(t, "Always", "main"),
			script: Script{Delete: 2 * time.Second, Stops: map[string]time.Duration{"main": Never}},
			want:   "main started 0s, main=137 32s", phase: "Failed",
		},
		"the proxy holds until main has exited": {
			pod:    pod(t, "Always", "main proxy:ready", "start-deps", "main: proxy"),
			script: Script{Delete: 5 * time.Second, Stops: map[string]time.Duration{"main": 3 * time.Second}},
			want:   "proxy started 0s, main started 1s, main=0 8s, proxy=0 8.2s", phase: "Succeeded",
		},
		"a pod that is deleted while it waits starts nothing": {
			pod:    pod(t, "Never", "main proxy:ready", "start-deps", "main: proxy"),
			script: Script{Delete: time.Second / 2},
			want:   "proxy started 0s, main=143 500ms, proxy=0 700ms", phase: "Failed",
		},
		"a start timeout": {
			pod:    pod(t, "Never", "main proxy:ready", "start-deps", "main: proxy", "start-timeout", "main: 4s", "stop-deps", "proxy: main"),
			script: Script{Ready: map[string]time.Duration{"proxy": Never}},
			want:   "proxy started 0s, main=124 4s, proxy=0 4.2s", phase: "Failed",
		},
		"exec mode": {
			pod:    pod(t, "Always", "main proxy:ready", "start-deps", "main: proxy", "mode", "main: exec"),
			script: Script{Delete: 5 * time.Second},
			want:   "proxy started 0s, main started 1s, main=0 5.2s, proxy=0 5.4s", phase: "Succeeded",
		},
		"an app restarts with its proxy": {
			pod:    pod(t, "Always", "main proxy:ready", "start-deps", "main: proxy", "restart-with", "main: proxy"),
			script: Script{Ends: map[string]End{"proxy": at(3*time.Second, 1)}, Delete: 20 * time.Second},
			want:   "proxy started 0s, main started 1s, proxy=1 3s, proxy started 3s, main=75 3.2s, main started 4s, main=0 20.2s, proxy=0 20.4s", phase: "Succeeded",
		},
		"an end at a time does not repeat": {
			pod: pod(t, "OnFailure", "main"), script: Script{Ends: map[string]End{"main": at(2*time.Second, 1)}},
			want: "main started 0s, main=1 2s, main started 2s, main=0 7s", phase: "Succeeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.script.Delete == 0 {
				test.script.Delete = Never
			}
			out := Pod("pod/p", test.pod, test.script)
			if have := story(out, history.Started, history.Terminated); have != test.want {
				t.Errorf("have\n%s\nwant\n%s", have, test.want)
			}
			if out.History.Phase != test.phase || len(out.Hangs) != test.hangs || out.Ends != (test.hangs == 0) {
				t.Errorf("phase %s, ends %v, hangs %q", out.History.Phase, out.Ends, out.Hangs)
			}
		})
	}
}

// A pod that is deleted ends, whatever its order.
func TestEveryDeletedPodEnds(t *testing.T) {
	for _, template := range corpus.Templates() {
		o, err := order.Of(template.Pod, "", nil)
		if err != nil {
			t.Errorf("%s: %v", template.Name, err)
			continue
		}
		out := Pod("pod/p", o, Script{Delete: 10 * time.Second})
		if !out.Ends {
			t.Errorf("%s does not end: %q", template.Name, out.Hangs)
		}
		for i, e := range out.History.Events[1:] {
			if e.At.Before(out.History.Events[i].At) {
				t.Fatalf("%s: %+v comes after %+v", template.Name, e, out.History.Events[i])
			}
		}
	}
}

func TestAHangIsShownWithTheRunThatLeadsToIt(t *testing.T) {
	hangs, ok := All(pod(t, "OnFailure", "main side", "stop-deps", "side: main", "stopped-exit-code", "side: 5"))
	if want := []string{"side never ends if main succeeds"}; !ok || !slices.Equal(hangs, want) {
		t.Errorf("ok %v, have %q, want %q", ok, hangs, want)
	}
	hangs, ok = All(pod(t, "Never", "main proxy:ready", "start-deps", "main: proxy", "stop-deps", "proxy: main"))
	if !ok || len(hangs) > 0 {
		t.Errorf("ok %v, have %q, want none", ok, hangs)
	}
}
