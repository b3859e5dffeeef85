package inject_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/test/sketch"
)

// changed returns the pod that words describe, with a change.
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
		want        string // "" if there is no message
	}{
		{
			name: "a delay that is longer than the grace period", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 40s"),
			want: `Warning: metadata.annotations[koordinator.io/stop-delay][main]: the kubelet kills "main" before it receives its stop signal, because the stop delay 40s is not shorter than terminationGracePeriodSeconds: 30. Raise the grace period, or shorten the delay [KO301]`,
		},
		{
			name: "a delay that leaves little", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 55s"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(60)) },
			want:   `Warning: metadata.annotations[koordinator.io/stop-delay][main]: the kubelet kills "main" 5s after its stop signal, because the stop delay 55s uses most of terminationGracePeriodSeconds: 60. Raise the grace period, or shorten the delay [KO301]`,
		},
		{
			name: "a delay that leaves enough", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 55s"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(120)) },
		},
		{
			name: "a delay that is longer than a probe's grace period", pod: "Never main proxy", annotations: sketch.Annotations("stop-delay", "main: 5s"),
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 80}}, TerminationGracePeriodSeconds: new(int64(5))}
			},
			want: `Warning: metadata.annotations[koordinator.io/stop-delay][main]: after a failed probe, the kubelet kills "main" before it receives its stop signal, because the stop delay 5s is not shorter than the probe's terminationGracePeriodSeconds: 5. Raise the grace period, or shorten the delay [KO301]`,
		},
		{
			name: "a timeout that the kubelet does not wait for", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "stop-timeout", "main: 1m"),
			want: `Warning: metadata.annotations[koordinator.io/stop-timeout][main]: when the pod is deleted, the kubelet kills "main" before its stop timeout 1m0s has passed, because terminationGracePeriodSeconds is 30. Raise the grace period, or shorten the timeout [KO302]`,
		},
		{
			name: "the default timeout", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started"),
			change: func(pod *corev1.Pod, _ *corev1.Container) { pod.Spec.TerminationGracePeriodSeconds = new(int64(5)) },
		},
		{
			name: "a request after an exit that never is for good", pod: "Always main proxy", annotations: sketch.Annotations("exit-http", "main: POST http://127.0.0.1/quit"),
			want: `Warning: metadata.annotations[koordinator.io/exit-http][main]: the request is never sent, because "main" always restarts (restartPolicy: Always). Remove it, or set another restartPolicy [KO303]`,
		},
		{
			name: "a stop request without a stop dependency", pod: "Never main proxy", annotations: sketch.Annotations("stop-http", "main: POST http://127.0.0.1/quit"),
			want: `Warning: metadata.annotations[koordinator.io/stop-http][main]: the request is never sent, because "main" has no stop dependency; when the pod is deleted, its command receives the stop signal instead. Remove it, or add a stop dependency [KO304]`,
		},
		{
			name: "a setting of how, where nothing is asked", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "command", "log: [/x]"),
			want: `metadata.annotations[koordinator.io/command][log]: this pod has no container "log" (it has "main", "proxy"). Correct the name, or remove it [KO201]`,
		},
		{
			name: "a command over the pod's", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "command", "main: [/x]"),
			want: `Warning: metadata.annotations[koordinator.io/command][main]: this command replaces command and args of "main". Remove the annotation, or command from the container [KO412]`,
		},
		{
			name: "without a gate", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			want: `Warning: metadata.annotations[koordinator.io/gate][main]: "main" counts as started and ready while it waits. Remove gate: false [KO307]`,
		},
		{
			name: "without a gate, with probes", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.ReadinessProbe, main.LivenessProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80))}, &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80))}
			},
			want: `Warning: metadata.annotations[koordinator.io/gate][main]: "main" counts as started while it waits, and the kubelet may restart it when its startupProbe or livenessProbe fails. Remove gate: false [KO307]`,
		},
		{
			name: "without a gate, with a hook", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=started", "gate", "main: false"),
			change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}}}
			},
			want: `metadata.annotations[koordinator.io/gate][main]: the lifecycle.postStart hook of "main" would run while the container waits for its start dependencies, and keep later containers from starting. Remove the hook, the start dependencies, or gate: false [KO306]`,
		},
		{
			name: "readiness of a container that is not wrapped", pod: "Never main vault-agent", annotations: sketch.Annotations("start-deps", "main: vault-agent"),
			want: `Warning: metadata.annotations[koordinator.io/start-deps][main]: "vault-agent" has no readinessProbe, so it counts as ready as soon as its command runs. Add a readinessProbe [KO219]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) { check(t, changed(tt.pod, tt.annotations, tt.change), tt.want) })
	}
}

// port returns the handler of a probe.
func port(p intstr.IntOrString) corev1.ProbeHandler {
	return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: p}}
}

func TestProbesAndHooksThatCannotBeRun(t *testing.T) {
	waits := sketch.Annotations("start-deps", "main: proxy=started")
	for _, tt := range []struct {
		name   string
		change func(pod *corev1.Pod, main *corev1.Container)
		want   string // "" if there is no message
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
			want: `spec.containers[main].startupProbe: the container has no port "http" (it has "web"), so koordinator cannot run the check. Use the name of one of its ports, or a number [KO310]`,
		},
		{
			name: "no port has a name", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromString("http")), TimeoutSeconds: 1, SuccessThreshold: 1}
			},
			want: `spec.containers[main].startupProbe: the container has no port "http" (it has no named port), so koordinator cannot run the check. Use the name of one of its ports, or a number [KO310]`,
		},
		{
			name: "gRPC with TLS", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Mode: new(corev1.GRPCProbeModeTLS)}}}
			},
			want: `spec.containers[main].startupProbe: koordinator cannot run a probe of this kind. Use exec, httpGet with HTTP/1.1, tcpSocket, or grpc without TLS [KO308]`,
		},
		{
			name: "a hook of a kind that there is not", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{}}}
			},
			want: `spec.containers[main].lifecycle.postStart: koordinator cannot run a hook of this kind. Use exec, httpGet or sleep [KO309]`,
		},
		{
			name: "numbers that the API server refuses after us", change: func(_ *corev1.Pod, main *corev1.Container) {
				main.StartupProbe = &corev1.Probe{ProbeHandler: port(intstr.FromInt32(80)), InitialDelaySeconds: -1}
			},
			want: `spec.containers[main].startupProbe: koordinator cannot use this setting: a number of a probe is negative [KO312]`,
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
		want        string // "" if there is no message
	}{
		{name: "everything can be told", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=succeeded", "source", "main: local")},
		{
			name: "an exit that a new sandbox forgets", pod: "OnFailure main proxy", annotations: sketch.Annotations("start-deps", "main: proxy=succeeded", "source", "main: local"),
			want: `metadata.annotations[koordinator.io/start-deps][main]: "proxy=succeeded" may be missed, because the record of "proxy" does not outlive the pod's sandbox, and koordinator does not read the pod's status (koordinator.io/source is local). Set the annotation koordinator.io/source: pod [KO224]`,
		},
		{
			name: "the same without a token", pod: "OnFailure main proxy", annotations: sketch.Annotations("stop-deps", "main: proxy=succeeded"),
			change: func(pod *corev1.Pod, main *corev1.Container) {
				pod.Spec.AutomountServiceAccountToken, main.VolumeMounts = new(false), nil
			},
			want: `metadata.annotations[koordinator.io/stop-deps][main]: "proxy=succeeded" may be missed, because the record of "proxy" does not outlive the pod's sandbox, and koordinator does not read the pod's status (the pod has automountServiceAccountToken: false). Set the annotation koordinator.io/source: pod [KO224]`,
		},
		{
			name: "the same with a service account without a token", pod: "OnFailure main proxy", annotations: sketch.Annotations("stop-deps", "main: proxy=succeeded"),
			change: func(pod *corev1.Pod, main *corev1.Container) {
				pod.Spec.ServiceAccountName, main.VolumeMounts = "robot", nil
			},
			want: `metadata.annotations[koordinator.io/stop-deps][main]: "proxy=succeeded" may be missed, because the record of "proxy" does not outlive the pod's sandbox, and koordinator does not read the pod's status (service account "robot" has automountServiceAccountToken: false). Set the annotation koordinator.io/source: pod [KO224]`,
		},
		{
			name: "readiness by a probe that only the kubelet runs", pod: "Never main proxy", annotations: sketch.Annotations("start-deps", "main: proxy", "source", "main: local"),
			change: func(pod *corev1.Pod, _ *corev1.Container) {
				pod.Spec.Containers[1].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1, Mode: new(corev1.GRPCProbeModeTLS)}}}
			},
			want: `metadata.annotations[koordinator.io/start-deps][main]: the wrapper of "proxy" cannot run its probes, so only the pod's status shows when it is ready, and koordinator does not read the pod's status (koordinator.io/source is local). Set the annotation koordinator.io/source: pod [KO224]`,
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
		want        string // "" if there is no message
	}{
		{name: "a regular container", pod: "Never main proxy", annotations: sketch.Annotations("essential", "main")},
		{name: "by the label", pod: "Never main proxy", label: "main"},
		{
			name: "an unknown one", pod: "Never main proxy", annotations: sketch.Annotations("essential", "app"),
			want: `metadata.annotations[koordinator.io/essential]: this pod has no container "app" (it has "main", "proxy"). Correct the name, or remove it [KO201]`,
		},
		{name: "one that comes later", pod: "Never main proxy", annotations: sketch.Annotations("essential", "istio-proxy")},
		{
			name: "one that comes later, by the label", pod: "Never main proxy", label: "istio-proxy",
			want: `metadata.labels[essential-containers]: this pod has no container "istio-proxy" (it has "main", "proxy"). Correct the name, or remove it [KO201]`,
		},
		{
			name: "an init container", pod: "Never init:migrate main", annotations: sketch.Annotations("essential", "migrate"),
			want: `metadata.annotations[koordinator.io/essential]: "migrate" is an init container, and only a regular container can be essential. Name a regular container [KO220]`,
		},
		{
			name: "one that is restarted for ever, by the label", pod: "Always main proxy", label: "main",
			want: `Warning: metadata.labels[essential-containers]: the label has no effect, because "main" always restarts (restartPolicy: Always). Remove the label, or set another restartPolicy [KO221]`,
		},
		{
			name: "others that come later", pod: "Never main istio-proxy", annotations: sketch.Annotations("essential", "main"),
			want: `Warning: metadata.annotations[koordinator.io/essential]: "istio-proxy" is not stopped when "main" exits, because another webhook adds it and it has no setting of its own. To stop it, set stop-deps: "istio-proxy: main" [KO222]`,
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

// An essential container stops all others except those that start after it has
// exited, and those that have exited before it starts.
func TestWhomAnEssentialContainerStops(t *testing.T) {
	pod := sketch.Pod("Never migrate main proxy report", sketch.Annotations("essential", "main", "start-deps", "{main: migrate=succeeded, report: main=exited}"))
	for name, want := range map[string]bool{"migrate": false, "main": false, "proxy": true, "report": false} {
		s := specsOf(t, pod)[name]
		if stops := len(s.StopDeps) == 1 && s.StopDeps[0].String() == "main=exited"; stops != want {
			t.Errorf("%s: stop dependencies %v, stopped: %t, want %t", name, s.StopDeps, stops, want)
		}
	}
}
