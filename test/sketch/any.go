package sketch

import (
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/wrapper/spec"
)

// pods generates parts of pods.
type pods struct{ *rand.Rand }

// one returns a random one of the values.
func one[T any](p pods, values ...T) T { return values[p.IntN(len(values))] }

func (p pods) chance(percent int) bool { return p.IntN(100) < percent }

func (p pods) probe() *corev1.Probe {
	if p.chance(70) {
		return nil
	}
	return &corev1.Probe{
		ProbeHandler: one(p,
			corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/up", "$(A)", "$$(A)"}}},
			corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http")}},
			corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}},
			corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 2, Mode: one(p, nil, nil, nil, nil, new(corev1.GRPCProbeModeTLS))}},
		),
		InitialDelaySeconds: p.Int32N(3), TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

func (p pods) hook() *corev1.LifecycleHandler {
	return one(p, nil, nil,
		&corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/hook", "$$A"}}},
		&corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("http")}},
		&corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}},
	)
}

func (p pods) made(name string, init bool) corev1.Container {
	c := corev1.Container{
		Name: name, Image: name, Env: []corev1.EnvVar{{Name: "A", Value: "$x"}},
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
	}
	if p.chance(95) {
		c.Command = []string{"/" + name}
	}
	if p.chance(80) {
		c.VolumeMounts = []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}}
	}
	switch {
	case init && p.chance(50):
		return c
	case init:
		c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	case p.chance(20):
		c.RestartPolicy = new(one(p, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure))
	}
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = p.probe(), p.probe(), p.probe()
	if p.chance(50) {
		c.Lifecycle = &corev1.Lifecycle{PostStart: p.hook(), PreStop: p.hook()}
	}
	return c
}

// dependencies returns a list of dependencies on containers with these names.
func (p pods) dependencies(names []string, conditions ...string) string {
	var all []string
	for _, i := range p.Perm(len(names))[:min(len(names), 1+p.IntN(2))] {
		all = append(all, names[i]+one(p, conditions...))
	}
	return strings.Join(all, ", ")
}

// annotations returns annotations with few contradictions: containers wait for earlier
// ones, and are stopped by later ones.
func (p pods) annotations(names []string) map[string]string {
	annotations := map[string]string{}
	for _, a := range []struct {
		name    string
		percent int
		value   func(before, after []string) string
	}{
		{"start-deps", 40, func(before, _ []string) string {
			return p.dependencies(before, "", "", "", "=started", "=exited", "=succeeded", "?")
		}},
		{"stop-deps", 25, func(_, after []string) string { return p.dependencies(after, "", "=succeeded", "=failed") }},
		{"mode", 8, func(_, _ []string) string { return one(p, "supervise", "exec") }},
		{"source", 8, func(_, _ []string) string { return one(p, "auto", "pod", "local") }},
		{"gate", 8, func(_, _ []string) string { return one(p, "true", "false") }},
		{"stop-delay", 8, func(_, _ []string) string { return "1s" }},
		{"exit-http", 8, func(_, _ []string) string { return "GET http://a/$b" }},
	} {
		var lines strings.Builder
		for i, name := range names {
			before, after := names[:i], names[i+1:]
			if i == 0 {
				before = []string{"istio-proxy"}
			}
			if i == len(names)-1 {
				after = []string{"istio-proxy"}
			}
			if p.chance(a.percent) {
				fmt.Fprintf(&lines, "%s: %q\n", name, a.value(before, after))
			}
		}
		if lines.Len() > 0 {
			annotations["koordinator.io/"+a.name] = lines.String()
		}
	}
	if p.chance(15) {
		annotations["koordinator.io/essential"] = p.dependencies(names, "", "=failed")
	}
	return annotations
}

// Any returns a pod with every kind of probe, hook and annotation. Each number gives a
// different pod. A series starts a new sequence.
func Any(number, series uint64) *corev1.Pod {
	p := pods{rand.New(rand.NewPCG(number, series))}
	names := []string{"a", "b", "c", "d", "e"}[:2+p.IntN(4)]
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: p.annotations(names)},
		Spec:       corev1.PodSpec{RestartPolicy: one(p, corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure)},
	}
	if p.chance(20) {
		pod.Labels = map[string]string{"essential-containers": one(p, names...)}
	}
	inits := p.IntN(2)
	for i, name := range names {
		if c := p.made(name, i < inits); i < inits {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	}
	return pod
}
