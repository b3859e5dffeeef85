package order

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/test/corpus"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/workload"
)

func given(value string) *corev1.Pod {
	p := &corev1.Pod{}
	p.Annotations = map[string]string{"koordinator.io/start-deps": value}
	p.Spec.Containers = []corev1.Container{{Name: "main", Image: "x"}, {Name: "proxy", Image: "x"}, {Name: "other", Image: "x"}}
	return p
}

func TestMistakesAreThoseOfTheWebhook(t *testing.T) {
	pod := given("main: prox")
	_, err := Of(pod, "spec.template", nil)
	var have Mistakes
	if !errors.As(err, &have) {
		t.Fatalf("error %v", err)
	}
	asked, problems := annotations.Read(pod.ObjectMeta, field.NewPath("spec.template"))
	want := append(problems, inject.Plan(workload.Complete(pod), asked, inject.Settings{}).Problems...)
	if len(want) == 0 || have.Error() != Mistakes(want).Error() {
		t.Errorf("have\n%v\nwant\n%v", have, Mistakes(want))
	}
}

func TestContainersThatDoNotTakePartAreNotWrapped(t *testing.T) {
	o, err := Of(given("main: proxy"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, c := range o.Containers {
		have[c.Name] = c.Wrapped
	}
	if diff := cmp.Diff(map[string]bool{"main": true, "proxy": true, "other": false}, have); diff != "" {
		t.Errorf("wrapped (-want +have):\n%s", diff)
	}
	if len(o.Warnings) == 0 {
		t.Error("there is no warning, although proxy has no probe")
	}
}

// An injected pod in a cluster must have the same order as its manifest.
func TestAnInjectedPodHasTheOrderOfItsManifest(t *testing.T) {
	for _, template := range corpus.Templates() {
		before, err := Of(template.Pod, "", nil)
		if err != nil {
			t.Errorf("%s: %v", template.Name, err)
			continue
		}
		asked, _ := annotations.Read(template.Pod.ObjectMeta, nil)
		pod := workload.Complete(template.Pod)
		after, err := patched(pod, inject.Complete(plan(pod, asked)))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(after)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Of(after, "", raw)
		if err != nil {
			t.Errorf("%s: %v", template.Name, err)
		}
		if diff := cmp.Diff(before.Containers, again.Containers); diff != "" {
			t.Errorf("%s (-manifest +cluster):\n%s", template.Name, diff)
		}
	}
}
