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

func TestTheDocumentsOfATextAreTheText(t *testing.T) {
	for text, want := range map[string][]string{
		"":                          {""},
		"a: b":                      {"a: b"},
		"---\na: b\n---\nc: d\n":    {"---\na: b\n", "---\nc: d\n"},
		"# x\n--- # y\r\na: b\r\n":  {"# x\n", "--- # y\r\na: b\r\n"},
		"a: |\n  ---\n  x\n---x: y": {"a: |\n  ---\n  x\n---x: y"},
	} {
		have := Split(text)
		if diff := cmp.Diff(want, have); diff != "" || strings.Join(have, "") != text {
			t.Errorf("%q (-want +have):\n%s", text, diff)
		}
	}
}

const two = `# Source: shop/templates/job.yaml
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - name: main
    command: [x]
---
apiVersion: v1
kind: List
items:
- {kind: Pod, apiVersion: v1, metadata: {name: b}, spec: {containers: [{name: main}]}}
`

func TestPlaces(t *testing.T) {
	documents, problems := Parse("f", two)
	if len(documents) != 2 || len(problems) > 0 || documents[0].Template != "templates/job.yaml" || documents[1].Template != "" {
		t.Fatalf("%+v %v", documents, problems)
	}
	place := func(document int, path string) [2]int {
		all, err := documents[document].Elements(nil)
		if err != nil || len(all) != 1 || len(all[0].Pods) != 1 {
			t.Fatalf("%v %v", all, err)
		}
		line, column := all[0].Locate(path)
		return [2]int{line, column}
	}
	for path, want := range map[string][2]int{
		"spec.containers[main].command": {8, 5}, "spec.containers[0].command[0]": {8, 15}, "spec.containers[other].command": {6, 3},
		"metadata.annotations[a/b][main]": {4, 1}, "nowhere": {2, 1},
	} {
		if have := place(0, path); have != want {
			t.Errorf("%s: %v, want %v", path, have, want)
		}
	}
	if have := place(1, "spec.containers[main]"); have[0] != 13 {
		t.Errorf("in an item: %v", have)
	}
}

func TestWhatIsNoObjectIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"[a]": "no object", "a: [": "line", "a: b": "has no kind", "kind: List\nitems: [1]": "items[0] is no object",
		`{"kind": "Pod"}` + "\n" + `{"kind": "Pod"}`: "more than one object", "kind: Pod\n...\nkind: Pod": "more than one object",
	} {
		documents, problems := Parse("f", text)
		for i := range documents {
			_, err := documents[i].Elements(nil)
			problems = append(problems, err)
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), want) || !strings.Contains(problems[0].Error(), "read f") {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

func TestEverySourceIsRead(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{"a.yaml": two, "notes.txt": "no", "deep/b.yml": two, "k/kustomization.yaml": "resources: [c.yaml]", "k/c.yaml": "kind: ConfigMap\napiVersion: v1\nmetadata: {name: c}"} {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	for name, tt := range map[string]struct {
		options input.Options
		want    int
	}{
		"a file": {input.Options{Files: []string{dir + "/a.yaml"}}, 1}, "a directory": {input.Options{Files: []string{dir}}, 1},
		"directories": {input.Options{Files: []string{dir}, Recursive: true}, 4}, "stdin": {input.Options{Files: []string{"-"}}, 1},
		"a URL": {input.Options{Files: []string{server.URL + "/a.yaml"}}, 1}, "a kustomization": {input.Options{Kustomize: dir + "/k"}, 1},
	} {
		texts, err := Read(tt.options, strings.NewReader(two))
		if err != nil || len(texts) != tt.want {
			t.Errorf("%s: %d texts, %v", name, len(texts), err)
		}
	}
	for name, o := range map[string]input.Options{"no file": {Files: []string{dir + "/none"}}, "no page": {Files: []string{server.URL + "/none"}}, "no kustomization": {Kustomize: dir}} {
		if _, err := Read(o, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
