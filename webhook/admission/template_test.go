package admission

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/test/sketch"
)

// template returns the messages about a template with these containers.
func template(t *testing.T, containers string, annotations map[string]string, change func(pod *corev1.Pod)) string {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(podOf(t, containers, annotations), &pod); err != nil {
		t.Fatal(err)
	}
	for i := range pod.Spec.Containers { // a template has no tokens yet
		pod.Spec.Containers[i].VolumeMounts = nil
	}
	if change != nil {
		change(&pod)
	}
	before := pod.DeepCopy()
	resp := CheckTemplate(testSettings(), slog.New(slog.DiscardHandler))(&pod, field.NewPath("spec", "template"))
	if diff := cmp.Diff(before, &pod); diff != "" {
		t.Errorf("the template is changed (-before +after):\n%s", diff)
	}
	if len(resp.Patch) > 0 {
		t.Errorf("a validation patches: %v", resp.Patch)
	}
	return strings.TrimSpace(words(resp))
}

func TestTemplatesAreCheckedAsTheirPodsAre(t *testing.T) {
	noToken := func(pod *corev1.Pod) { pod.Spec.AutomountServiceAccountToken = new(false) }
	noCommand := func(pod *corev1.Pod) {
		for i := range pod.Spec.Containers {
			pod.Spec.Containers[i].Command = nil
		}
	}
	for _, tt := range []struct {
		name, pod   string
		annotations map[string]string
		change      func(pod *corev1.Pod)
		want        string // "" if there is no message
	}{
		{name: "nothing is asked", pod: "Never main"},
		{name: "all is right", pod: "Never main proxy", annotations: given("start-deps", "main: proxy=started", "stop-deps", "proxy: main")},
		{
			name: "everything that is wrong at once, each with its place", pod: "Never main proxy",
			annotations: given("start-deps", "main: cloudsql", "stop-delay", "10"),
			want: "422 (1 of 2) spec.template.metadata.annotations[koordinator.io/stop-delay]: \"10\" is not a duration. Write a number with a unit, for example 10s, 500ms or 1m30s [KO117]\n" +
				"(2 of 2) spec.template.metadata.annotations[koordinator.io/start-deps][main]: this pod has no container \"cloudsql\" (it has \"main\", \"proxy\"). Correct the name, or remove it [KO201]",
		},
		{
			name: "a warning", pod: "Always main proxy", annotations: given("stop-deps", "proxy: main"),
			want: `Warning: spec.template.metadata.annotations[koordinator.io/stop-deps][proxy]: "main=exited" does not stop "proxy" at run time, because "main" always restarts (restartPolicy: Always); it only affects the order when the pod is deleted [KO216]`,
		},
		{name: "left alone", pod: "Never main", annotations: given("inject", "false", "start-deps", "main: nobody")},
		{
			name: "Windows", pod: "Never main proxy", annotations: given("start-deps", "main: proxy=started"),
			change: func(pod *corev1.Pod) { pod.Spec.OS = &corev1.PodOS{Name: corev1.Windows} },
			want:   "Warning: spec.template.spec: koordinator does not change this pod, because koordinator runs on Linux only and this is a Windows pod [KO513]",
		},
		{
			name: "too much", pod: "Never main", annotations: given("start-deps", strings.Repeat("x", 70<<10)),
			want: "422 spec.template.metadata.annotations: the koordinator annotations have 71705 bytes; the limit is 65536. Shorten them [KO111]",
		},
		{
			name: "source pod where a token is mounted", pod: "Never main proxy",
			annotations: given("start-deps", "main: proxy=started", "source", "pod"),
		},
		{
			name: "a token is taken for granted", pod: "OnFailure main proxy", annotations: given("start-deps", "main: proxy=succeeded"),
		},
		{
			name: "no token, and records cannot tell", pod: "OnFailure main proxy", annotations: given("start-deps", "main: proxy=succeeded"), change: noToken,
			want: `422 spec.template.metadata.annotations[koordinator.io/start-deps][main]: "proxy=succeeded" may be missed, because the record of "proxy" does not outlive the pod's sandbox, and koordinator does not read the pod's status (the pod has automountServiceAccountToken: false). Set the annotation koordinator.io/source: pod [KO224]`,
		},
		{
			name: "no lookup is made for commands that only images know", pod: "Never main proxy", change: noCommand,
			annotations: given("start-deps", "main: proxy=started", "essential", "main"),
		},
		{
			name: "nor is one needed where the annotation tells", pod: "Never main proxy", change: noCommand,
			annotations: given("start-deps", "main: proxy=started", "command", `main: [/app]`),
		},
		{
			name: "and what else is wrong is told", pod: "Never main proxy", change: noCommand,
			annotations: given("start-deps", "main: proxy, proxi"),
			want:        `422 spec.template.metadata.annotations[koordinator.io/start-deps][main]: this pod has no container "proxi" (it has "main", "proxy"). Did you mean "proxy"? [KO201]`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, template(t, tt.pod, tt.annotations, tt.change)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

// A template gets the same messages as its pods, if it contains everything that
// the pods contain.
func TestAnyTemplateIsToldWhatItsPodsAre(t *testing.T) {
	said := 0
	for seed := range uint64(1000) {
		pod := sketch.Any(seed, 2)
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				list[i].VolumeMounts = nil
				if len(list[i].Command) == 0 {
					list[i].Command = []string{"/" + list[i].Name}
				}
			}
		}
		resp := CheckTemplate(testSettings(), slog.New(slog.DiscardHandler))(pod.DeepCopy(), field.NewPath("spec", "template"))
		have := strings.ReplaceAll(words(resp), "spec.template.", "")
		mountToken(pod)
		raw, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		want := words(ask(t, raw))
		if want != "" {
			said++
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Fatalf("seed %d (-pod +template):\n%s", seed, diff)
		}
	}
	if said < 100 {
		t.Errorf("%d answers with words say little", said)
	}
}
