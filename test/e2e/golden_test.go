//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/yaml"
)

// goldens are the cases of the injector.
const goldens = "../../webhook/testdata/inject/*.txtar"

// notSent are cases whose pod no API server would hand to a webhook as it is,
// and why. What comes of them is sent all the same.
var notSent = map[string]string{}

// TestGoldens sends the cases that are injected to the API server, in a dry run:
// the pod into a namespace with koordinator, Pod Security "restricted" enforced
// where the pod meets it, and what the case says comes of it into one without,
// where nobody touches it.
func TestGoldens(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(goldens)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for name := range notSent {
		if !slices.Contains(paths, strings.Replace(goldens, "*", name, 1)) {
			t.Errorf("there is no case %s", name)
		}
	}
	api := connect(t)
	plain, injected := pairOfNamespaces(t), pairOfNamespaces(t, enabled)
	each(paths, func(path string) {
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		pod, result := caseOf(t, path)
		if result == nil {
			return // refused, or left alone
		}
		_, err := dryRun(t.Context(), api, plain[true], pod)
		restricted := err == nil
		if _, err := dryRun(t.Context(), api, plain[restricted], result); err != nil {
			t.Errorf("%s: what comes of it: %v", name, err)
		}
		if notSent[name] != "" {
			return
		}
		if _, err := dryRun(t.Context(), api, plain[false], pod); err != nil {
			t.Errorf("%s: the pod itself: %v", name, err)
			return
		}
		after, err := dryRun(t.Context(), api, injected[restricted], pod)
		if err == nil {
			err = checkInjected(after)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
}

// caseOf reads the pod of a case and what comes of it, nil when nothing does,
// as JSON.
func caseOf(t *testing.T, path string) (pod, result []byte) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	for _, f := range archive.Files {
		data, err := yaml.YAMLToJSON(f.Data)
		switch {
		case err != nil:
			t.Errorf("%s: %s: %v", path, f.Name, err)
		case f.Name == "pod.yaml":
			pod = data
		case f.Name == "patched.yaml":
			result = data
		}
	}
	return pod, result
}
