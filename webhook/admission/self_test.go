package admission

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// probed gives each container probes and a hook, which are checked in its spec.
func probed(pod *corev1.Pod) {
	for i := range pod.Spec.Containers {
		port := corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}
		pod.Spec.Containers[i].ReadinessProbe = &corev1.Probe{ProbeHandler: port}
		pod.Spec.Containers[i].LivenessProbe = &corev1.Probe{ProbeHandler: port}
	}
}

func TestB6DependencyOnItselfIsOneMessage(t *testing.T) {
	for _, tt := range []struct {
		name, key, value string
		want             string
	}{
		{
			name: "at the start", key: "start-deps", value: "main: main",
			want: `metadata.annotations[koordinator.io/start-deps][main]: container "main" cannot depend on itself. Remove the dependency [KO227]`,
		},
		{
			name: "at the stop", key: "stop-deps", value: "main: [proxy, main]",
			want: `metadata.annotations[koordinator.io/stop-deps][main]: container "main" cannot depend on itself. Remove the dependency [KO227]`,
		},
		{
			name: "in a spec object", key: "spec", value: "main: {startDeps: main}",
			want: `metadata.annotations[koordinator.io/spec][main].startDeps: container "main" cannot depend on itself. Remove the dependency [KO227]`,
		},
		{
			name: "a name that is none", key: "start-deps", value: "main: Proxy",
			want: `metadata.annotations[koordinator.io/start-deps][main]: "Proxy" is not a container name. Use lowercase letters, digits and "-" [KO114]`,
		},
		{
			name: "a name twice", key: "start-deps", value: "main: proxy, proxy=exited",
			want: `metadata.annotations[koordinator.io/start-deps][main]: container "proxy" is listed twice. Keep one condition [KO228]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have := template(t, "Never main proxy", given(tt.key, tt.value), probed)
			if diff := cmp.Diff("422 spec.template."+tt.want, strings.TrimSpace(have)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

// Problems of a probe or a hook name the fields of the pod.
func TestB6MessagesNameTheFieldsOfThePod(t *testing.T) {
	bad := func(h *corev1.ProbeHandler) { h.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(80000)} }
	for _, tt := range []struct {
		field  string
		change func(c *corev1.Container)
	}{
		{"startupProbe", func(c *corev1.Container) { c.StartupProbe = &corev1.Probe{}; bad(&c.StartupProbe.ProbeHandler) }},
		{"readinessProbe", func(c *corev1.Container) { c.ReadinessProbe = &corev1.Probe{}; bad(&c.ReadinessProbe.ProbeHandler) }},
		{"livenessProbe", func(c *corev1.Container) { c.LivenessProbe = &corev1.Probe{}; bad(&c.LivenessProbe.ProbeHandler) }},
		{"lifecycle.postStart", func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}}}
		}},
		{"lifecycle.preStop", func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{}}}
		}},
		{"terminationMessagePath", func(c *corev1.Container) { c.TerminationMessagePath = "log" }},
	} {
		t.Run(tt.field, func(t *testing.T) {
			have := template(t, "Never main proxy log", given("start-deps", "{main: proxy=started, log: main}"), func(pod *corev1.Pod) {
				tt.change(&pod.Spec.Containers[0])
			})
			if !strings.HasPrefix(have, "422 spec.template.spec.containers[main]."+tt.field+": ") || strings.Contains(have, "; ") {
				t.Errorf("have %s, want one problem of %s", have, tt.field)
			}
		})
	}
}
