package inject_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// answer returns the result for a pod whose commands are not looked up. The pod
// also counts as refused if its annotations are invalid.
func answer(pod *corev1.Pod, settings inject.Settings) (completed inject.Completed, refused bool) {
	asked, problems := annotations.Read(pod.ObjectMeta, nil)
	completed = inject.Complete(inject.Plan(pod, asked, settings), inject.Found{})
	return completed, len(problems)+len(completed.Problems) > 0
}

// Every pod is rejected or injected. After an injection, a second call has
// nothing to do, and the wrapper can parse every spec.
func TestAnyPod(t *testing.T) {
	injected, refusals := 0, 0
	for seed := range uint64(5000) {
		pod := sketch.Any(seed, 1)
		completed, refused := answer(pod, testSettings())
		if refused {
			refusals++
			continue
		}
		after := rewritten(t, pod, inject.Rewrite(completed))
		again, refused := answer(after, testSettings())
		if patch := inject.Rewrite(again); refused || len(patch) > 0 {
			t.Fatalf("seed %d: the second call is no no-op: patch %v, %s", seed, patch, words(again.Notes))
		}
		if diff := cmp.Diff(words(completed.Notes), words(again.Notes)); diff != "" {
			t.Fatalf("seed %d: the second call says something else (-first +second):\n%s", seed, diff)
		}
		if len(completed.Wrapped) > 0 {
			injected++
			checkWrapped(t, seed, after)
		}
	}
	if injected < 500 || refusals < 500 {
		t.Errorf("%d injected and %d refused say little", injected, refusals)
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
		if s.Source == spec.SourceLocal && len(s.Wrapped)+len(s.ReadyEndpoints) < len(s.StartDeps) {
			t.Errorf("seed %d: %s knows nothing of some of its dependencies: %s", seed, c.Name, s.Encode())
		}
	}
}

// debugged returns the copy of a pod that kubectl debug --copy-to
// --keep-annotations creates.
func debugged(pod *corev1.Pod) *corev1.Pod {
	dup := pod.DeepCopy()
	dup.Labels, dup.Name, dup.Spec.ShareProcessNamespace = nil, "copy", new(true)
	for i := range dup.Spec.Containers {
		c := &dup.Spec.Containers[i]
		c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = nil, nil, nil
	}
	dup.Spec.Containers = append(dup.Spec.Containers, corev1.Container{
		Name: "debugger", Image: "busybox", Command: []string{"sh"},
		VolumeMounts: []corev1.VolumeMount{{Name: "token", MountPath: spec.APIAccess}},
	})
	return dup
}

// Every injected pod can be copied, and the copy is injected like any other pod.
func TestCopiesOfAnyPod(t *testing.T) {
	byImage := testSettings()
	byImage.Delivery = inject.ByImageVolume
	for name, settings := range map[string]inject.Settings{"init container": testSettings(), "image volume": byImage} {
		t.Run(name, func(t *testing.T) {
			copied := 0
			for seed := range uint64(1000) {
				pod := sketch.Any(seed, 2)
				completed, refused := answer(pod, settings)
				if refused || len(completed.Wrapped) == 0 {
					continue
				}
				copied++
				dup := debugged(rewritten(t, pod, inject.Rewrite(completed)))
				again, refused := answer(dup, testSettings())
				if refused {
					t.Fatalf("seed %d: the copy is refused: %s", seed, words(again.Notes))
				}
				twice, _ := answer(rewritten(t, dup, inject.Rewrite(again)), testSettings())
				if patch := inject.Rewrite(twice); len(patch) > 0 {
					t.Fatalf("seed %d: the second call is no no-op: %v", seed, patch)
				}
			}
			if copied < 100 {
				t.Errorf("%d copies say little", copied)
			}
		})
	}
}
