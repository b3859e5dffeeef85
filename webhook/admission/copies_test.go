package admission

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// debugged is what kubectl debug --copy-to --keep-annotations makes of a pod.
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

// Whatever was injected can be copied, and the copy is injected like any pod.
func TestCopiesOfAnyPod(t *testing.T) {
	for name, settings := range map[string]inject.Settings{"init container": testSettings(), "image volume": byImage()} {
		t.Run(name, func(t *testing.T) {
			copied := 0
			for seed := range uint64(1000) {
				made := pods{rand.New(rand.NewPCG(seed, 2))}.pod()
				raw, err := json.Marshal(made)
				if err != nil {
					t.Fatal(err)
				}
				resp := askBy(t, settings, raw)
				if !resp.Allowed || resp.Patch == nil {
					continue
				}
				copied++
				dup, err := json.Marshal(debugged(decoded(t, patched(t, raw, resp))))
				if err != nil {
					t.Fatal(err)
				}
				again := ask(t, dup)
				if !again.Allowed {
					t.Fatalf("seed %d: the copy is refused: %s\n%s", seed, words(again), dup)
				}
				result := patched(t, dup, again)
				if twice := ask(t, result); twice.Patch != nil {
					t.Fatalf("seed %d: the second call is no no-op: %s\n%s", seed, twice.Patch, result)
				}
			}
			if copied < 100 {
				t.Errorf("%d copies say little", copied)
			}
		})
	}
}
