package document

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/cli/input"
)

// manifest has several documents, a List, and kinds that Kubernetes does not know.
const manifest = `
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: alone, annotations: {koordinator.io/start-deps: "main: proxy"}}
  spec: {containers: [{name: main, newField: 1}, {name: proxy}]}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web, namespace: shop}
  spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: main}]}}}}}
---
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata: {name: train}
spec:
  replicatedJobs:
  - {name: driver, template: {spec: {template: {spec: {containers: [{name: driver}]}}}}}
  - {name: worker, template: {spec: {template: {spec: {containers: [{name: worker}]}}}}}
`

// found returns the objects as "name place container".
func found(objects []Element) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.Name())
		for _, p := range o.Pods {
			all = append(all, "  "+strings.Join([]string{p.Place, p.Pod.GenerateName, p.Pod.Namespace, p.Pod.Spec.Containers[0].Name}, " "))
		}
	}
	return all
}

// whole lists the objects of the manifest.
var whole = []string{
	"service/web",
	"pod/alone", "     main",
	"deployment/web", "  spec.template web- shop main",
	"cronjob/nightly", "  spec.jobTemplate.spec.template nightly-  main",
	"jobset/train",
	"  spec.replicatedJobs[0].template.spec.template train-  driver",
	"  spec.replicatedJobs[1].template.spec.template train-  worker",
}

func TestEveryWayToGiveAManifest(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("all.yaml", manifest)
	write("deep/er/all.yaml", manifest)
	write("kustomize/kustomization.yaml", "resources: [all.yaml]")
	write("kustomize/all.yaml", manifest)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	for name, o := range map[string]input.Options{
		"a file":            {Files: []string{file}},
		"standard input":    {Files: []string{"-"}},
		"a URL":             {Files: []string{server.URL + "/all.yaml"}},
		"a directory":       {Files: []string{filepath.Join(dir, "deep", "er")}},
		"directories":       {Files: []string{filepath.Join(dir, "deep")}, Recursive: true},
		"a kustomization":   {Kustomize: filepath.Join(dir, "kustomize")},
		"the path is given": {Files: []string{file}, Templates: []string{"spec.replicatedJobs[*].template.spec.template"}},
	} {
		objects, err := Objects(o, strings.NewReader(manifest))
		want := whole
		if name == "a kustomization" { // kustomize has its own order
			want = nil
		}
		if diff := cmp.Diff(want, found(objects)); err != nil || want != nil && diff != "" || len(objects) != 5 {
			t.Errorf("%s: %v (-want +have):\n%s", name, err, diff)
		}
	}
}

func TestAPodKeepsFieldsThatAreNotKnown(t *testing.T) {
	objects, err := Objects(input.Options{Files: []string{"-"}}, strings.NewReader(manifest))
	if err != nil || !strings.Contains(string(objects[1].Pods[0].Raw), `"newField":1`) {
		t.Errorf("%v: %s", err, objects[1].Pods[0].Raw)
	}
}

func TestEverythingThatCannotBeReadIsNamed(t *testing.T) {
	dir := t.TempDir()
	bad, good := filepath.Join(dir, "bad.yaml"), filepath.Join(dir, "good.yaml")
	for path, text := range map[string]string{bad: "kind: [", good: manifest} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	objects, err := Objects(input.Options{Files: []string{bad, good}}, nil)
	if err == nil || !strings.Contains(err.Error(), "bad.yaml") || len(objects) != 5 {
		t.Errorf("%d objects, %v", len(objects), err)
	}
	for name, o := range map[string]input.Options{
		"no such file": {Files: []string{filepath.Join(dir, "none.yaml")}}, "no objects": {Files: []string{"-"}},
	} {
		if _, err := Objects(o, strings.NewReader("")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTheFormOfPlaces(t *testing.T) {
	const template = "{spec: {containers: [{name: main}]}}"
	for key, want := range map[string]string{
		"plain": "spec.plain[1]", `"v1.2"`: "spec[v1.2][1]", `"a[0]"`: "spec[a[0]][1]", `""`: "spec[][1]",
	} {
		documents, problems := Parse("x.yaml", "kind: Pool\napiVersion: example.com/v1\nmetadata: {name: x}\nspec:\n  "+key+": [{}, "+template+"]\n")
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		elements, err := documents[0].Elements(nil)
		if err != nil || len(elements) != 1 || len(elements[0].Pods) != 1 {
			t.Fatalf("%s: %v, %+v", key, err, elements)
		}
		if place := elements[0].Pods[0].Place; place != want {
			t.Errorf("key %s: the place is %q, want %q", key, place, want)
		}
	}
}
