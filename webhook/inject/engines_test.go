package inject_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/sketch"
)

// labelled returns the pod that words describe, with a label unless key is "".
func labelled(key, words string, annotations map[string]string) *corev1.Pod {
	pod := sketch.Pod(words, annotations)
	if key != "" {
		pod.Labels = map[string]string{key: "x"}
	}
	return pod
}

func TestA28EssentialLeavesOutTheContainersOfEngines(t *testing.T) {
	for _, tt := range []struct{ engine, label, main, left string }{
		{"Tekton", "tekton.dev/taskRun", "step-app", "step-report"},
		{"Argo Workflows", "workflows.argoproj.io/workflow", "main", "wait"},
		{"Airflow", "", "base", "airflow-xcom-sidecar"},
		{"GitLab Runner", "job.runner.gitlab.com/pod", "svc-0", "helper"},
	} {
		t.Run(tt.engine, func(t *testing.T) {
			pod, essential := "Never "+tt.main+" "+tt.left+" proxy", sketch.Annotations("essential", tt.main)
			want := `Warning: metadata.annotations[koordinator.io/essential]: "` + tt.left + `" is not stopped when "` + tt.main + `" exits, because ` + tt.engine +
				` stops it. To stop it nevertheless, set stop-deps: "` + tt.left + `: ` + tt.main + `" [KO222]`
			check(t, labelled(tt.label, pod, essential), want)
			if said := words(plan(labelled(tt.label, pod, sketch.Annotations("essential", tt.main, "stop-deps", tt.left+": "+tt.main))).Notes); said != "" {
				t.Errorf("with a stop dependency of its own: %s", said)
			}
			if said := words(plan(labelled("", pod, essential)).Notes); tt.label != "" && said != "" {
				t.Errorf("without the label: %s", said)
			}
		})
	}
}

func TestA27StepsThatWaitForOneThatCannotStart(t *testing.T) {
	const start = "step-app: proxy=succeeded"
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		label       string
		warned      bool
	}{
		{name: "nothing is done about it", annotations: sketch.Annotations("start-deps", start), label: "tekton.dev/taskRun", warned: true},
		{name: "the later step has the start dependency, too", annotations: sketch.Annotations("start-deps", "{"+start+", 'step-report': proxy=succeeded}"), label: "tekton.dev/taskRun"},
		{name: "the later step is stopped", annotations: sketch.Annotations("start-deps", start, "stop-deps", "step-report: step-app=failed"), label: "tekton.dev/taskRun"},
		{name: "the last step alone waits", annotations: sketch.Annotations("start-deps", "step-report: proxy=succeeded"), label: "tekton.dev/taskRun"},
		{name: "no pod of Tekton's", annotations: sketch.Annotations("start-deps", start)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have := words(plan(labelled(tt.label, "Never step-app step-report proxy", tt.annotations)).Notes)
			const want = `if "step-app" cannot start, the steps after it ("step-report") wait until the TaskRun times out, because Tekton's entrypoint in "step-app" never runs. Give them the same start dependencies, or stop-deps: "step-report: step-app=failed"`
			if strings.Contains(have, want) != tt.warned || !tt.warned && have != "" {
				t.Errorf("%s, want it warned of: %v", have, tt.warned)
			}
		})
	}
}
