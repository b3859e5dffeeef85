//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// told runs kubectl with a manifest and returns the text on stderr, including warnings. It
// does not fail the test if kubectl fails.
func told(t *testing.T, manifest string, args ...string) string {
	t.Helper()
	cmd := cluster.KubectlCommand(t.Context(), args...)
	cmd.Stdin = strings.NewReader(manifest)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil && stderr.Len() == 0 {
		t.Fatal(err)
	}
	return stderr.String()
}

// workloads returns the manifests of one workload of each kind, with the given annotations.
// None of them creates a pod.
func workloads(n notes) map[string]string {
	restarts := strings.Replace(twoContainers, "restartPolicy: Never", "restartPolicy: Always", 1)
	template := func(spec string, by int) string {
		labelled := strings.Replace(n.metadata("x"), `"e2e":""`, `"app":"x"`, 1)
		return strings.ReplaceAll("\ntemplate:\n  metadata: "+labelled+"\n  spec:"+strings.ReplaceAll(spec, "\n", "\n  "), "\n", "\n"+strings.Repeat(" ", by))
	}
	object := func(version, kind, spec string) string {
		return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec:%s\n", version, kind, spec)
	}
	const selector = "\n  selector: {matchLabels: {app: x}}"
	return map[string]string{
		"Deployment":            object("apps/v1", "Deployment", selector+"\n  replicas: 0"+template(restarts, 2)),
		"ReplicaSet":            object("apps/v1", "ReplicaSet", selector+"\n  replicas: 0"+template(restarts, 2)),
		"StatefulSet":           object("apps/v1", "StatefulSet", selector+"\n  replicas: 0\n  serviceName: x"+template(restarts, 2)),
		"DaemonSet":             object("apps/v1", "DaemonSet", selector+template(restarts+"  nodeSelector: {no: where}\n", 2)),
		"ReplicationController": object("v1", "ReplicationController", "\n  selector: {app: x}\n  replicas: 0"+template(restarts, 2)),
		"Job":                   object("batch/v1", "Job", "\n  suspend: true"+template(twoContainers, 2)),
		"CronJob":               object("batch/v1", "CronJob", "\n  schedule: '0 0 1 1 *'\n  suspend: true\n  jobTemplate:\n    spec:"+template(twoContainers, 6)),
	}
}

// place returns the path of the pod template in a workload of that kind.
func place(kind string) string {
	if kind == "CronJob" {
		return "spec.jobTemplate.spec.template"
	}
	return "spec.template"
}

func TestAWorkloadWithWrongAnnotationsIsRefusedAsItIsApplied(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	n := notes{"start-deps": "{main: cloudsql, proxy: main=redy}", "stop-delay": "10", "stop-dep": "proxy: main"}
	for kind, manifest := range workloads(n) {
		t.Run(kind, func(t *testing.T) {
			_, err := try(t, manifest, "-n", ns, "apply", "-f", "-")
			if err == nil {
				t.Fatal("accepted")
			}
			complained(t, err.Error())
			for _, want := range []string{
				fmt.Sprintf("The %s %q is invalid", kind, "x"),
				"* " + place(kind) + ".metadata.annotations[koordinator.io/start-deps][main]: ",
			} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not said: %v", want, err)
				}
			}
		})
	}
	var right strings.Builder
	for _, manifest := range workloads(notes{"start-deps": "main: proxy=started"}) {
		right.WriteString(manifest + "\n---\n")
	}
	if said := told(t, right.String(), "-n", ns, "apply", "-f", "-"); said != "" {
		t.Errorf("workloads without a fault: %s", said)
	}
}

func TestAWorkloadsWarningsAreShown(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	said := told(t, workloads(notes{"stop-deps": "proxy: main"})["Deployment"], "-n", ns, "apply", "-f", "-")
	if want := `Warning: spec.template.metadata.annotations[koordinator.io/stop-deps][proxy]: "main=exited" does not stop "proxy" at run time`; !strings.Contains(said, want) {
		t.Errorf("said %q, want %s", said, want)
	}
}

// TestOnlyAChangedTemplateIsRefused checks that a workload that existed before the
// namespace was enabled can still be scaled and labeled.
func TestOnlyAChangedTemplateIsRefused(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	apply(t, ns, workloads(notes{"start-deps": "main: nobody"})["Deployment"])
	kubectl(t, "label", "namespace", ns, enabled)
	change := func(patch string) error {
		_, err := try(t, "", "-n", ns, "patch", "deployment", "x", "-p", patch)
		return err
	}
	const image = `{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"busybox:new"}]}}}}`
	eventually(t, "the refusal of a changed template", func() (bool, string) {
		_, err := try(t, "", "-n", ns, "patch", "deployment", "x", "--dry-run=server", "-p", image)
		return err != nil && strings.Contains(err.Error(), `no container "nobody"`), fmt.Sprint(err)
	})
	for what, patch := range map[string]string{
		"metadata":               `{"metadata":{"labels":{"a":"b"}}}`,
		"the number of replicas": `{"spec":{"replicas":1}}`,
	} {
		if err := change(patch); err != nil {
			t.Errorf("a change of %s is refused: %v", what, err)
		}
	}
	if _, err := try(t, "", "-n", ns, "scale", "deployment", "x", "--replicas=0"); err != nil {
		t.Errorf("scaling is refused: %v", err)
	}
	if err := change(`{"spec":{"template":{"metadata":{"annotations":{"koordinator.io/start-deps":"main: proxy"}}}}}`); err != nil {
		t.Errorf("the mended template is refused: %v", err)
	}
}
