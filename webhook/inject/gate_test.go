package inject_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// gated reports whether a container's startup probe runs the gate.
func gated(c corev1.Container) bool {
	return c.StartupProbe != nil && c.StartupProbe.Exec != nil && slices.Equal(c.StartupProbe.Exec.Command, []string{spec.Binary, "gate"})
}

func TestWhoGetsAGate(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		change      func(pod *corev1.Pod, main *corev1.Container)
		want        []string
	}{
		{name: "who waits", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"), want: []string{"main"}},
		{name: "not who only stops", pod: "Never main proxy", annotations: sketch.Annotations("stop-deps", "main: proxy")},
		{name: "not who is to have none", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "false")},
		{name: "no init container that runs to its end", pod: "Never sidecar:proxy init:migrate main", annotations: sketch.Annotations("start-deps", "migrate: proxy=started")},
		{
			name: "whose start others learn from the pod's status", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "source", "main: pod"),
			want: []string{"main", "proxy"},
		},
		{
			name: "whose readiness others learn from the pod's status", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy", "source", "main: pod"),
			want: []string{"main", "proxy"},
		},
		{
			name: "not where the readiness probe tells that", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy", "source", "main: pod"),
			change: func(pod *corev1.Pod, _ *corev1.Container) {
				pod.Spec.Containers[1].ReadinessProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
			want: []string{"main"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			after := injectedBy(t, testSettings(), changed(tt.pod, tt.annotations, tt.change))
			var have []string
			for _, c := range slices.Concat(after.Spec.InitContainers, after.Spec.Containers) {
				if gated(c) {
					have = append(have, c.Name)
				}
			}
			if !slices.Equal(have, tt.want) {
				t.Errorf("%q, want %q", have, tt.want)
			}
		})
	}
}

// The kubelet counts the failures of a container's own startup probe.
func TestTheGateTakesThePlaceOfAStartupProbe(t *testing.T) {
	own := corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), InitialDelaySeconds: 3, TimeoutSeconds: 2, PeriodSeconds: 7, SuccessThreshold: 1, FailureThreshold: 9}
	pod := changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), func(_ *corev1.Pod, main *corev1.Container) { main.StartupProbe = own.DeepCopy() })
	after := injectedBy(t, testSettings(), pod)
	want := own
	want.ProbeHandler = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "gate"}}}
	want.InitialDelaySeconds, want.TimeoutSeconds = 0, 1<<31-1
	if diff := cmp.Diff(&want, after.Spec.Containers[0].StartupProbe); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	taken := specsWithin(t, after)["main"].StartupProbe
	if taken == nil || taken.TCP == nil || taken.InitialDelaySeconds != 3 || taken.TimeoutSeconds != 2 || taken.PeriodSeconds != 7 {
		t.Errorf("the wrapper runs %+v", taken)
	}
	unchanged(t, after)
	after.Spec.Containers[0].StartupProbe.InitialDelaySeconds = 3
	check(t, after, `spec.containers[main].startupProbe.exec.command: /koordinator/bin/koordinator is koordinator's own program. Write the container's own probe, or remove the probe [KO509]`)
}

// The wrapper does not repeat what the kubelet itself does when it runs the
// probe.
func TestTheKubeletKeepsTheDelayOfALivenessProbe(t *testing.T) {
	pod := changed("Never main proxy", sketch.Annotations("stop-deps", "main: proxy"), func(_ *corev1.Pod, main *corev1.Container) {
		main.LivenessProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), InitialDelaySeconds: 3, TimeoutSeconds: 2, SuccessThreshold: 1}
	})
	after := injectedBy(t, testSettings(), pod)
	kept, own := after.Spec.Containers[0].LivenessProbe, specsWithin(t, after)["main"].Liveness
	if kept.InitialDelaySeconds != 3 || kept.TimeoutSeconds != 3 || kept.SuccessThreshold != 1 {
		t.Errorf("the kubelet's is %+v", kept)
	}
	if own == nil || own.InitialDelaySeconds != 0 || own.TimeoutSeconds != 2 || own.SuccessThreshold != 0 {
		t.Errorf("the wrapper's is %+v", own)
	}
}

// If a container cannot determine its own readiness, others do not read its
// record for that.
func TestWhoseRecordsAreRead(t *testing.T) {
	tls := corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Mode: new(corev1.GRPCProbeModeTLS)}}
	for _, tt := range []struct {
		name  string
		pairs []string
		probe *corev1.Probe
		want  []string
	}{
		{"without a probe", []string{"start-deps", "main: proxy"}, nil, []string{"proxy"}},
		{"with one that the wrapper runs", []string{"start-deps", "main: proxy"}, &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), TimeoutSeconds: 1, SuccessThreshold: 1}, []string{"proxy"}},
		{"with one that only the kubelet runs", []string{"start-deps", "main: proxy"}, &corev1.Probe{ProbeHandler: tls}, nil},
		{"with such a one, for its start", []string{"start-deps", "main: proxy=started"}, &corev1.Probe{ProbeHandler: tls}, []string{"proxy"}},
		{"with such a one, beside the pod's status", []string{"start-deps", "main: proxy", "source", "main: pod"}, &corev1.Probe{ProbeHandler: tls}, []string{"proxy"}},
		{"of all that are waited for", []string{"start-deps", "main: migrate=succeeded, proxy"}, nil, []string{"proxy", "migrate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := changed("Never main proxy migrate", sketch.Annotations(tt.pairs...), func(pod *corev1.Pod, _ *corev1.Container) {
				pod.Spec.Containers[1].ReadinessProbe = tt.probe
			})
			if have := specsOf(t, pod)["main"].Wrapped; !slices.Equal(have, tt.want) {
				t.Errorf("%q, want %q", have, tt.want)
			}
		})
	}
}

// The copy of a pod may have the gate of another release.
func TestAGateOfAnotherReleaseIsRenewed(t *testing.T) {
	pod := injected(t, "Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
	want := pod.DeepCopy()
	old := pod.Spec.Containers[0].StartupProbe
	old.TimeoutSeconds, old.PeriodSeconds, old.SuccessThreshold, old.FailureThreshold, old.InitialDelaySeconds = 60, 2, 2, 100, 1
	completed := inject.Complete(plan(pod), inject.Found{})
	if diff := cmp.Diff(want, rewritten(t, pod, inject.Rewrite(completed))); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

// The wrapper runs a hook that must wait with its container.
func TestHooksThatWaitAreRunByTheWrapper(t *testing.T) {
	hook := func() *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(80)}}
	}
	pod := changed("Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), func(_ *corev1.Pod, main *corev1.Container) {
		main.Lifecycle = &corev1.Lifecycle{PostStart: hook(), PreStop: hook()}
	})
	after := injectedBy(t, testSettings(), pod)
	main := after.Spec.Containers[0]
	preStop := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "prestop"}}}
	if diff := cmp.Diff(&corev1.Lifecycle{PreStop: preStop}, main.Lifecycle); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	if s := specsWithin(t, after)["main"]; s.PostStart == nil || s.PostStart.HTTP == nil || s.PreStop == nil || s.PreStop.HTTP == nil {
		t.Errorf("the spec is %s", s.Encode())
	}
	unchanged(t, after)
}

func TestModesThatAreChosen(t *testing.T) {
	delayed := &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), InitialDelaySeconds: 9, TimeoutSeconds: 1, SuccessThreshold: 1}
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		probe       *corev1.Probe // for liveness and for readiness
		want        spec.Mode     // of main
	}{
		{"its readiness ends the delay of its liveness probe", "Never main migrate", sketch.Annotations("start-deps", "main: migrate=succeeded"), delayed, spec.Supervise},
		{"nothing is left to do after the wait", "Never init:a main", sketch.Annotations("start-timeout", "main: 5s", "start-deps", "main: a=succeeded"), nil, spec.ExecMode},
		{"an exit is waited for", "Never main migrate", sketch.Annotations("start-deps", "main: migrate=succeeded"), nil, spec.ExecMode},
		{"its target holds for it", "Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"), nil, spec.Supervise},
		{"others depend on it", "Never main proxy", sketch.Annotations("start-deps", "proxy: main=exited"), nil, spec.Supervise},
		{"it has a stop dependency", "Never main proxy", sketch.Annotations("stop-deps", "main: proxy"), nil, spec.Supervise},
		{"it is to be supervised", "Never main migrate", sketch.Annotations("start-deps", "main: migrate=succeeded", "mode", "main: supervise"), nil, spec.Supervise},
		{"exec is asked for", "Never main proxy", sketch.Annotations("start-deps", "main: proxy=started", "mode", "main: exec"), nil, spec.ExecMode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := changed(tt.pod, tt.annotations, func(_ *corev1.Pod, main *corev1.Container) {
				main.LivenessProbe, main.ReadinessProbe = tt.probe, tt.probe
			})
			if have := specsOf(t, pod)["main"].Mode; have != tt.want {
				t.Errorf("%q, want %q", have, tt.want)
			}
		})
	}
}

func TestReasonsAgainstExec(t *testing.T) {
	const refused = `metadata.annotations[koordinator.io/mode][main]: "main" cannot run in mode exec, because `
	for _, tt := range []struct {
		name, pod string
		pairs     []string
		change    func(pod *corev1.Pod, main *corev1.Container)
		want      string
	}{
		{name: "a stop dependency", pod: "Never main proxy", pairs: []string{"stop-deps", "main: proxy"}, want: "(1) it has stop dependencies, (2) it stops after proxy when the pod is deleted"},
		{name: "a stop delay and a stop signal", pod: "Never main proxy", pairs: []string{"stop-delay", "main: 1s", "stop-signal", "main: SIGINT"}, want: "(1) it has a stop-delay, (2) it has a stop-signal"},
		{name: "a request at the exit", pod: "Never main proxy", pairs: []string{"exit-http", "main: POST http://a/"}, want: "it has an exit-http"},
		{name: "it is waited for", pod: "Never main proxy", pairs: []string{"start-deps", "proxy: main=started"}, want: "it stops after proxy when the pod is deleted"},
		{
			name: "a hook that waits", pod: "Never main migrate", pairs: []string{"start-deps", "main: migrate=succeeded"},
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
			},
			want: "it has a postStart hook, which must wait until the command starts",
		},
		{
			name: "a hook that others have to hear of", pod: "Never main proxy", pairs: []string{"start-deps", "main: proxy=started"},
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
			},
			want: "it has a preStop hook, and containers that stop after it must be notified before the hook runs",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			annotations := sketch.Annotations(append(tt.pairs, "mode", "main: exec")...)
			check(t, changed(tt.pod, annotations, tt.change), refused+tt.want+". Remove the mode, or these settings [KO305]")
		})
	}
}
