//go:build e2e

package e2e

import (
	"encoding/json"
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
		switch f.Name {
		case "pod.yaml":
			pod = withToken(t, f.Data)
		case "patched.yaml":
			result = withToken(t, f.Data)
		}
	}
	return pod, result
}

// withToken is a pod as JSON, with the volume of the service account's token where
// a container mounts it: in the cases only the mount stands for what the API
// server adds.
func withToken(t *testing.T, manifest []byte) []byte {
	t.Helper()
	var pod struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   any            `json:"metadata"`
		Spec       map[string]any `json:"spec"`
	}
	if err := yaml.Unmarshal(manifest, &pod); err != nil {
		t.Error(err)
		return nil
	}
	volumes, _ := pod.Spec["volumes"].([]any)
	isToken := func(volume any) bool { return volume.(map[string]any)["name"] == "token" }
	if strings.Contains(string(manifest), "name: token") && !slices.ContainsFunc(volumes, isToken) {
		source := map[string]any{"sources": []any{map[string]any{"serviceAccountToken": map[string]any{"path": "token"}}}}
		pod.Spec["volumes"] = append(volumes, map[string]any{"name": "token", "projected": source})
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Error(err)
	}
	return raw
}
