package inject_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/test/sketch"
)

// changed is a pod of words after a change.
func changed(words string, annotations map[string]string, change func(pod *corev1.Pod, main *corev1.Container)) *corev1.Pod {
	pod := sketch.Pod(words, annotations)
	if change != nil {
		change(pod, &pod.Spec.Containers[0])
	}
	return pod
}

func TestSettingsThatDoLessThanTheySeemTo(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		change      func(pod *corev1.Pod, main *corev1.Container)
		want        string // "" when nothing is said
	}{
		{
			name: "a delay that is longer than the grace period", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 40s"),
			want: `Warning: container "main": stop-delay 40s leaves nothing of terminationGracePeriodSeconds: 30: the kubelet kills the command before it is asked to stop: raise the grace period or shorten the delay`,
		},
		{
			name: "a delay that leaves little", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 55s"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(60)) },
			want:   `Warning: container "main": stop-delay 55s leaves only 5s of terminationGracePeriodSeconds: 60 until the kubelet kills the command: raise the grace period or shorten the delay`,
		},
		{
			name: "a delay that leaves enough", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 55s"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(120)) },
		},
		{
			name: "a timeout that the kubelet does not wait for", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "stop-timeout", "main: 1m"),
			want: `Warning: koordinator.io/stop-timeout: container "main": 1m0s is longer than terminationGracePeriodSeconds: 30, after which the kubelet kills the command when the pod is stopped: raise the grace period or shorten the timeout`,
		},
		{
			name: "the default timeout", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(5)) },
		},
		{
			name: "a request after an exit that never is for good", pod: "Always main proxy", annotations: sketch.Annotations("exit-http", "main: POST http://127.0.0.1/quit"),
			want: `Warning: koordinator.io/exit-http: container "main": is never sent: "main" is restarted for ever (restartPolicy: Always)`,
		},
		{
			name: "a stop request without a stop dependency", pod: "Never main proxy", annotations: sketch.Annotations("stop-http", "main: POST http://127.0.0.1/quit"),
			want: `Warning: koordinator.io/stop-http: container "main": has no effect: "main" has no stop dependency, and when the pod is stopped it is asked by its signal`,
		},
		{
			name: "a setting of how, where nothing is asked", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "command", "log: [/x]"),
			want: `koordinator.io/command: container "log": no container "log" in this pod (has: "main", "proxy")`,
		},
		{
			name: "a command over the pod's", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "command", "main: [/x]"),
			want: `Warning: koordinator.io/command: container "main": replaces the command and args in the pod`,
		},
		{
			name: "without a gate", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			want: `Warning: koordinator.io/gate: container "main": "main" counts as started and ready while it waits`,
		},
		{
			name: "without a gate, with probes", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.ReadinessProbe, main.LivenessProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80))}, &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80))}
			},
			want: `Warning: koordinator.io/gate: container "main": "main" counts as started while it waits, and its startupProbe or livenessProbe may end the wait`,
		},
		{
			name: "without a gate, with a hook", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
			},
			want: `koordinator.io/gate: container "main": the lifecycle.postStart hook of "main" would run while the container still waits for its start dependencies, and keep later containers from starting: remove the hook, the start dependencies or gate: false` + "\n" +
				`Warning: koordinator.io/gate: container "main": "main" counts as started and ready while it waits`,
		},
		{
			name: "readiness of a container that is not wrapped", pod: "Never main istio-proxy", annotations: sketch.Annotations("start-deps", "main: istio-proxy"),
			want: `Warning: koordinator.io/start-deps: container "main": "istio-proxy" is not wrapped and has no readinessProbe, so it counts as ready as soon as it runs: give it one`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, changed(tt.pod, tt.annotations, tt.change), tt.want) })
	}
}

// port is a probe's handler.
func port(p intstr.IntOrString) corev1.ProbeHandler {
	return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: p}}
}

func TestProbesAndHooksThatCannotBeRun(t *testing.T) {
	waits := sketch.Annotations("start-deps", "main: proxy=started")
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.Pod, main *corev1.Container)
		want   string // "" when nothing is said
	}{
		{
			name: "a named port", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 80}}
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromString("web")), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
		},
		{
			name: "a number as text", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromString("80")), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
		},
		{
			name: "an unknown port", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Ports = []corev1.ContainerPort{{Name: "web", ContainerPort: 80}, {ContainerPort: 81}}
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromString("http")), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
			want: `container "main": startupProbe: no port "http" among the container's ports (has: "web"): name one of them or write a number`,
		},
		{
			name: "no port has a name", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromString("http")), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
			want: `container "main": startupProbe: no port "http" among the container's ports (none has a name): name one of them or write a number`,
		},
		{
			name: "gRPC with TLS", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Mode: new(corev1.GRPCProbeModeTLS)}}}
			},
			want: `container "main": startupProbe: koordinator cannot run a probe of this kind: use exec, httpGet with HTTP/1.1, tcpSocket, or grpc without TLS`,
		},
		{
			name: "a hook of a kind that there is not", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{}}}
			},
			want: `container "main": lifecycle.postStart: koordinator cannot run a hook of this kind, and for tcpSocket the kubelet cannot either: use exec, httpGet or sleep`,
		},
		{
			name: "numbers that the API server refuses after us", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), InitialDelaySeconds: -1}
			},
			want: `container "main": startupProbe: a number of a probe is negative`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, changed("Never main proxy", waits, tt.change), tt.want) })
	}
}

func TestWhatRecordsCannotTell(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		change      func(pod *corev1.Pod, main *corev1.Container)
		want        string // "" when nothing is said
	}{
		{name: "everything can be told", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=succeeded", "source", "main: local")},
		{
			name: "an exit that a new sandbox forgets", pod: "OnFailure main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=succeeded", "source", "main: local"),
			want: `koordinator.io/start-deps: container "main": "proxy=succeeded" may be missed: the record of "proxy" does not outlive the pod's sandbox, and the API server is not asked (koordinator.io/source: container "main" is local): set koordinator.io/source: pod`,
		},
		{
			name: "the same without a token", pod: "OnFailure main proxy", annotations: sketch.Annotations("stop-deps", "main: proxy=succeeded"),
			change: func(pod *corev1.Pod, main *corev1.Container) {
				pod.Spec.AutomountServiceAccountToken, main.VolumeMounts = new(false), nil
			},
			want: `koordinator.io/stop-deps: container "main": "proxy=succeeded" may be missed: the record of "proxy" does not outlive the pod's sandbox, and the API server is not asked (the pod has automountServiceAccountToken: false): set koordinator.io/source: pod`,
		},
		{
			name: "the same with a service account without a token", pod: "OnFailure main proxy", annotations: sketch.Annotations("stop-deps", "main: proxy=succeeded"),
			change: func(pod *corev1.Pod, main *corev1.Container) {
				pod.Spec.ServiceAccountName, main.VolumeMounts = "robot", nil
			},
			want: `koordinator.io/stop-deps: container "main": "proxy=succeeded" may be missed: the record of "proxy" does not outlive the pod's sandbox, and the API server is not asked (service account "robot" has automountServiceAccountToken: false): set koordinator.io/source: pod`,
		},
		{
			name: "readiness by a probe that only the kubelet runs", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy", "source", "main: local"),
			change: func(pod *corev1.Pod, _ *corev1.Container) {
				pod.Spec.Containers[1].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Mode: new(corev1.GRPCProbeModeTLS)}}}
			},
			want: `koordinator.io/start-deps: container "main": "proxy" cannot run its probes by itself, so that only the pod's status tells when it is ready, and the API server is not asked (koordinator.io/source: container "main" is local): set koordinator.io/source: pod`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, changed(tt.pod, tt.annotations, tt.change), tt.want) })
	}
}

func TestWhoCanBeEssential(t *testing.T) {
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		label       string
		want        string // "" when nothing is said
	}{
		{name: "a regular container", pod: "Never main proxy", annotations: sketch.Annotations("essential", "main")},
		{name: "by the label", pod: "Never main proxy", label: "main"},
		{
			name: "an unknown one", pod: "Never main proxy", annotations: sketch.Annotations("essential", "app"),
			want: `koordinator.io/essential: no container "app" in this pod (has: "main", "proxy")`,
		},
		{name: "one that comes later", pod: "Never main proxy", annotations: sketch.Annotations("essential", "istio-proxy")},
		{
			name: "one that comes later, by the label", pod: "Never main proxy", label: "istio-proxy",
			want: `label essential-containers: no container "istio-proxy" in this pod (has: "main", "proxy")`,
		},
		{
			name: "an init container", pod: "Never init:migrate main", annotations: sketch.Annotations("essential", "migrate"),
			want: `koordinator.io/essential: "migrate" is an init container, and only a regular one can be essential: name another`,
		},
		{
			name: "one that is restarted for ever, by the label", pod: "Always main proxy", label: "main",
			want: `Warning: label essential-containers: has no effect: "main" is restarted for ever (restartPolicy: Always)`,
		},
		{
			name: "others that come later", pod: "Never main istio-proxy", annotations: sketch.Annotations("essential", "main"),
			want: `Warning: koordinator.io/essential: "istio-proxy" is not stopped: another webhook adds it, and it is not asked to take part`,
		},
		{name: "others that come later and take part", pod: "Never main istio-proxy", annotations: sketch.Annotations("essential", "main", "stop-delay", "istio-proxy: 1s")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, changed(tt.pod, tt.annotations, func(pod *corev1.Pod, _ *corev1.Container) {
				if tt.label != "" {
					pod.Labels = map[string]string{"essential-containers": tt.label}
				}
			}), tt.want)
		})
	}
}

// An essential container stops all others but those that start after it has exited,
// and those that have exited before it starts.
func TestWhomAnEssentialContainerStops(t *testing.T) {
	pod := sketch.Pod("Never migrate main proxy report", sketch.Annotations("essential", "main", "start-deps", "{main: migrate=succeeded, report: main=exited}"))
	for name, want := range map[string]bool{"migrate": false, "main": false, "proxy": true, "report": false} {
		s := specsOf(t, pod)[name]
		if stops := len(s.StopDeps) == 1 && s.StopDeps[0].String() == "main=exited"; stops != want {
			t.Errorf("%s: stop dependencies %v, stopped: %t, want %t", name, s.StopDeps, stops, want)
		}
	}
}
