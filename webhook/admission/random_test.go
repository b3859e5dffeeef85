package admission

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"koordinator.io/koordinator/wrapper/spec"
)

// pods makes up pods of few containers with every kind of probe, hook and
// annotation.
type pods struct{ *rand.Rand }

// one is any of the values.
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

func (p pods) container(name string, init bool) corev1.Container {
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

// dependencies is a list of them on containers of these names.
func (p pods) dependencies(names []string, conditions ...string) string {
	var all []string
	for _, i := range p.Perm(len(names))[:min(len(names), 1+p.IntN(2))] {
		all = append(all, names[i]+one(p, conditions...))
	}
	return strings.Join(all, ", ")
}

// annotations have few contradictions: containers wait for those before them,
// and are stopped by those after them.
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
		lines := ""
		for i, name := range names {
			before, after := names[:i], names[i+1:]
			if i == 0 {
				before = []string{"istio-proxy"}
			}
			if i == len(names)-1 {
				after = []string{"istio-proxy"}
			}
			if p.chance(a.percent) {
				lines += fmt.Sprintf("%s: %q\n", name, a.value(before, after))
			}
		}
		if lines != "" {
			annotations["koordinator.io/"+a.name] = lines
		}
	}
	if p.chance(15) {
		annotations["koordinator.io/essential"] = p.dependencies(names, "", "=failed")
	}
	return annotations
}

func (p pods) pod() corev1.Pod {
	names := []string{"a", "b", "c", "d", "e"}[:2+p.IntN(4)]
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Annotations: p.annotations(names)},
		Spec:       corev1.PodSpec{RestartPolicy: one(p, corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure)},
	}
	if p.chance(20) {
		pod.Labels = map[string]string{"essential-containers": one(p, names...)}
	}
	inits := p.IntN(2)
	for i, name := range names {
		if c := p.container(name, i < inits); i < inits {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	}
	return pod
}

// Whatever a pod asks for, it is refused or injected, and then a second call
// has nothing to do, and every spec is one that the wrapper reads.
func TestAnyPod(t *testing.T) {
	injected, refused := 0, 0
	for seed := range uint64(5000) {
		made := pods{rand.New(rand.NewPCG(seed, 1))}.pod()
		raw, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		resp := ask(t, raw)
		if !resp.Allowed {
			refused++
			continue
		}
		result := patched(t, raw, resp)
		if again := ask(t, result); again.Patch != nil || words(again) != words(resp) {
			t.Fatalf("seed %d: the second call is no no-op: patch %s, words %s, not %s\n%s", seed, again.Patch, words(again), words(resp), result)
		}
		var pod corev1.Pod
		if err := json.Unmarshal(result, &pod); err != nil {
			t.Fatal(err)
		}
		if len(pod.Spec.InitContainers) > 0 && pod.Spec.InitContainers[0].Name == "koordinator-install" {
			injected++
			checkWrapped(t, seed, &pod)
		}
	}
	if injected < 500 || refused < 500 {
		t.Errorf("%d injected and %d refused say little", injected, refused)
	}
}

// checkWrapped compares the specs of a pod with each other and with the pod.
func checkWrapped(t *testing.T, seed uint64, pod *corev1.Pod) {
	t.Helper()
	wrapped := pod.Spec.InitContainers[0].Args[2:]
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if len(c.Command) == 0 || c.Command[0] != spec.Binary {
			if slices.Contains(wrapped, c.Name) {
				t.Errorf("seed %d: %s gets a record and is not wrapped", seed, c.Name)
			}
			continue
		}
		i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == spec.Env })
		s, err := spec.Parse(strings.ReplaceAll(c.Env[i].Value, "$$", "$"))
		if err != nil {
			t.Errorf("seed %d: %s: %v", seed, c.Name, err)
		}
		for _, name := range s.Wrapped {
			if !slices.Contains(wrapped, name) {
				t.Errorf("seed %d: %s looks for the record of %s, which has none", seed, c.Name, name)
			}
		}
		needsToken := s.Source == spec.SourcePod && len(s.StartDeps)+len(s.StopDeps)+len(s.HoldFor) > 0
		hasToken := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
			return m.MountPath == spec.APIAccess || m.MountPath == spec.OwnAPIAccess
		})
		if needsToken && !hasToken {
			t.Errorf("seed %d: %s has no token", seed, c.Name)
		}
		if s.Source == spec.SourceLocal && len(s.Wrapped) < len(s.StartDeps) {
			t.Errorf("seed %d: %s knows nothing of some of its dependencies: %s", seed, c.Name, s.Encode())
		}
	}
}
