package inject_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gomodules.xyz/jsonpatch/v2"
	applypatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/spec"
)

func testSettings() inject.Settings {
	return inject.Settings{Image: "koordinator/wrapper:test", Sidecars: sidecars.Builtin(), Version: "test"}
}

// asked returns the settings in a pod's annotations, which must be valid.
func asked(pod *corev1.Pod) inject.Asked {
	asked, problems := annotations.Read(pod.ObjectMeta, nil)
	if len(problems) > 0 {
		panic(problems[0].String())
	}
	return asked
}

// plan returns the plan of a pod.
func plan(pod *corev1.Pod) inject.Planned { return inject.Plan(pod, asked(pod), testSettings()) }

// words returns the problems and warnings, one per line.
func words(n messages.Notes) string {
	var lines []string
	for _, p := range n.Problems {
		lines = append(lines, p.String())
	}
	for _, w := range n.Warnings {
		lines = append(lines, "Warning: "+w.String())
	}
	return strings.Join(lines, "\n")
}

// check fails unless exactly these messages are reported about a pod whose
// commands are known: all of them by the plan, and no others when it is
// completed. The pod must stay unchanged.
func check(t *testing.T, pod *corev1.Pod, want string) {
	t.Helper()
	before := pod.DeepCopy()
	planned := plan(pod)
	if len(planned.Wanted) > 0 {
		t.Fatalf("the commands of %q are wanted", planned.Wanted)
	}
	if diff := cmp.Diff(want, words(planned.Notes)); diff != "" {
		t.Errorf("the plan (-want +have):\n%s", diff)
	}
	completed := inject.Complete(planned, inject.Found{})
	if diff := cmp.Diff(want, words(completed.Notes)); diff != "" {
		t.Errorf("the completed plan (-want +have):\n%s", diff)
	}
	if patch := inject.Rewrite(completed); len(completed.Problems) > 0 && len(patch) > 0 {
		t.Errorf("a pod with problems is changed: %v", patch)
	}
	if diff := cmp.Diff(before, pod); diff != "" {
		t.Errorf("the pod has changed (-before +after):\n%s", diff)
	}
}

// specsOf returns the specs that are written into a pod whose commands are known,
// by container.
func specsOf(t *testing.T, pod *corev1.Pod) map[string]spec.Spec {
	t.Helper()
	return specsWithin(t, rewritten(t, pod, inject.Rewrite(inject.Complete(plan(pod), inject.Found{}))))
}

// specsWithin returns the specs of a pod as wrappers read them, by container.
func specsWithin(t *testing.T, pod *corev1.Pod) map[string]spec.Spec {
	t.Helper()
	specs := map[string]spec.Spec{}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, e := range c.Env {
			if e.Name != spec.Env {
				continue
			}
			s, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$"))
			if err != nil {
				t.Fatal(err)
			}
			specs[c.Name] = s
		}
	}
	return specs
}

// rewritten returns a pod after a patch.
func rewritten(t *testing.T, pod *corev1.Pod, patch []jsonpatch.Operation) *corev1.Pod {
	t.Helper()
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	operations, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := applypatch.DecodePatch(operations)
	if err != nil {
		t.Fatal(err)
	}
	if len(patch) > 0 {
		if raw, err = decoded.Apply(raw); err != nil {
			t.Fatalf("apply %s: %v", operations, err)
		}
	}
	var after corev1.Pod
	if err := json.Unmarshal(raw, &after); err != nil {
		t.Fatal(err)
	}
	return &after
}
