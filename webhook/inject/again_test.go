package inject_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// injected returns the pod that words describe, after the first call.
func injected(t *testing.T, containers string, annotations map[string]string) *corev1.Pod {
	t.Helper()
	pod := sketch.Pod(containers, annotations)
	completed := inject.Complete(plan(pod), inject.Found{})
	if len(completed.Problems) > 0 {
		t.Fatal(words(completed.Notes))
	}
	return rewritten(t, pod, inject.Rewrite(completed))
}

// unchanged fails if a second call changes or rejects a pod.
func unchanged(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	completed := inject.Complete(plan(pod), inject.Found{})
	if patch := inject.Rewrite(completed); len(completed.Problems)+len(patch) > 0 {
		t.Errorf("have %s, patch %v, want no change", words(completed.Notes), patch)
	}
}

// Between the two calls, the API server sets defaults, admission plugins and
// other webhooks change the pod, and the installer is no longer the first init
// container.
func TestSecondCallAfterOthers(t *testing.T) {
	pod := injected(t, "Never init:migrate main proxy", sketch.Annotations("start-deps", "main: istio-proxy"))
	token := corev1.VolumeMount{Name: "token", MountPath: spec.APIAccess, ReadOnly: true}
	install := &pod.Spec.InitContainers[0]
	if install.Name != inject.InstallContainer {
		t.Fatalf("%s is the first init container", install.Name)
	}
	install.VolumeMounts = append(install.VolumeMounts, token)
	install.Image = "mirror.local/" + install.Image
	install.Env = append(install.Env, corev1.EnvVar{Name: "ADDED", Value: "1"})
	for i := range pod.Spec.Volumes { // policies set size limits
		if e := pod.Spec.Volumes[i].EmptyDir; e != nil && e.SizeLimit == nil {
			e.SizeLimit = resource.NewQuantity(100<<20, resource.BinarySI)
		}
	}
	late := corev1.Container{Name: "istio-proxy", Image: "istio", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}
	pod.Spec.InitContainers = append([]corev1.Container{late}, pod.Spec.InitContainers...)
	pod.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "ADDED", Value: "1"}}, pod.Spec.Containers[0].Env...)
	unchanged(t, pod)
}

// wrapAgain prepends another webhook's program to koordinator.
func wrapAgain(c *corev1.Container) {
	c.Command, c.Args = []string{"/vault/vault-env"}, slices.Concat(c.Command, c.Args)
}

// Another webhook may prepend its own program to koordinator, which is then in
// the args: the container is already wrapped.
func TestSecondCallAfterAnotherWrapper(t *testing.T) {
	pod := injected(t, "Never main proxy", sketch.Annotations("start-deps", "main: proxy"))
	wrapAgain(&pod.Spec.Containers[0])
	unchanged(t, pod)
}

// The other program's image may have its own command, so that the container has
// only args. It stays wrapped, even if other commands must be looked up.
func TestSecondCallAfterAnotherWrapperWithoutACommand(t *testing.T) {
	pod := injected(t, "Never main proxy", sketch.Annotations("start-deps", "main: proxy", "essential", "main"))
	proxy := &pod.Spec.Containers[1]
	proxy.Command, proxy.Args = nil, append([]string{"--"}, proxy.Command...)
	unchanged(t, pod)
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log", Image: "log"})
	completed := inject.Complete(plan(pod), inject.Found{Commands: map[string]inject.Command{"log": {Words: []string{"/log"}}}})
	if want := []string{"main", "proxy", "log"}; !slices.Equal(completed.Wrapped, want) {
		t.Errorf("%q are wrapped, want %q: %s", completed.Wrapped, want, words(completed.Notes))
	}
}

// A participating container that is added between the two calls is wrapped in the
// second one, and the specs of the others are updated.
func TestSecondCallWithAnotherContainer(t *testing.T) {
	token := []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}}
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		added       corev1.Container
		wrapped     []string
		check       func(specs map[string]spec.Spec) bool
	}{
		{
			name: "by an essential one", pod: "Never main proxy", annotations: sketch.Annotations("essential", "main", "stop-timeout", "main: 5s"),
			added:   corev1.Container{Name: "log", Image: "log", Command: []string{"/log"}, VolumeMounts: token},
			wrapped: []string{"main", "proxy", "log"},
			check: func(specs map[string]spec.Spec) bool {
				return len(specs["log"].StopDeps) == 1 && len(specs["log"].Wrapped) == 1
			},
		},
		{
			name: "that needs a wrapper that was to go", pod: "Never main", annotations: sketch.Annotations("essential", "main", "start-timeout", "main: 5s"),
			added:   corev1.Container{Name: "log", Image: "log", Command: []string{"/log"}, VolumeMounts: token},
			wrapped: []string{"main", "log"},
			check:   func(specs map[string]spec.Spec) bool { return specs["main"].Mode == spec.Supervise },
		},
		{
			name: "to hold for", pod: "Never main proxy", annotations: sketch.Annotations("stop-deps", "main: istio-proxy"),
			added:   corev1.Container{Name: "istio-proxy", Image: "istio"},
			wrapped: []string{"main"},
			check: func(specs map[string]spec.Spec) bool {
				return slices.Equal(specs["main"].HoldFor, []string{"istio-proxy"})
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := injected(t, tt.pod, tt.annotations)
			pod.Spec.Containers = append(pod.Spec.Containers, tt.added)
			completed := inject.Complete(plan(pod), inject.Found{})
			after := rewritten(t, pod, inject.Rewrite(completed))
			if !slices.Equal(completed.Wrapped, tt.wrapped) {
				t.Errorf("%q are wrapped, want %q", completed.Wrapped, tt.wrapped)
			}
			if have, want := after.Annotations[inject.StatusAnnotation], `{"version":"test","wrapped":["`+strings.Join(tt.wrapped, `","`)+`"]}`; have != want {
				t.Errorf("status %s, want %s", have, want)
			}
			if have := after.Spec.InitContainers[0].Args[2:]; !slices.Equal(have, tt.wrapped) {
				t.Errorf("directories are made for %q, want %q", have, tt.wrapped)
			}
			if specs := specsWithin(t, after); !tt.check(specs) {
				t.Errorf("the specs are %v", specs)
			}
			unchanged(t, after)
		})
	}
}

// A container that is added between the two calls and whose command cannot be
// looked up does not change the result of the first call, and no message reports
// that the pod is not ordered.
func TestSecondCallWithAContainerThatCannotBeLookedUp(t *testing.T) {
	pod := injected(t, "Never main proxy", sketch.Annotations("essential", "main"))
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "log", Image: "log"})
	settings := testSettings()
	settings.SkipTrouble = true
	found := inject.Found{Commands: map[string]inject.Command{"log": {Problem: problem("no answer"), Trouble: true}}}
	completed := inject.Complete(inject.Plan(pod, asked(pod), settings), found)
	if patch := inject.Rewrite(completed); !completed.Skipped || len(patch)+len(completed.Problems) > 0 {
		t.Errorf("have %+v, patch %v, want no change", completed.Notes, patch)
	}
	if said := words(completed.Notes); strings.Contains(said, "does not change this pod") || !strings.Contains(said, "does not order containers that were added") {
		t.Errorf("said: %s", said)
	}
}

// The content of a spec in the pod is never trusted. If everything else is
// koordinator's own, the spec is written again from the annotations, and
// otherwise the pod is rejected.
func TestForgedSpecsAreNotBelieved(t *testing.T) {
	pod := injected(t, "Never main proxy", sketch.Annotations("start-deps", "main: proxy=started"))
	forged := pod.DeepCopy()
	main := &forged.Spec.Containers[0]
	i := slices.IndexFunc(main.Env, func(e corev1.EnvVar) bool { return e.Name == spec.Env })
	main.Env[i].Value = strings.Replace(main.Env[i].Value, `"proxy=started"`, `"proxy=exited"`, 1)
	if cmp.Equal(pod, forged) {
		t.Fatal("nothing is forged")
	}
	after := rewritten(t, forged, inject.Rewrite(inject.Complete(plan(forged), inject.Found{})))
	if diff := cmp.Diff(pod, after); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}

	main.VolumeMounts = slices.DeleteFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == inject.RecordVolume })
	want := `spec.containers[main].env[KOORDINATOR_SPEC]: the environment variable is reserved for koordinator. Remove it [KO501]`
	if have := words(inject.Complete(plan(forged), inject.Found{}).Notes); have != want {
		t.Errorf("have %s, want %s", have, want)
	}
}
