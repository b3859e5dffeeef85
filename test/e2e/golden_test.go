//go:build e2e

package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"
)

// goldens matches the injector's cases.
const goldens = "../../webhook/admission/testdata/inject/*.txtar"

// neverSent maps cases whose pod the API server rejects even without koordinator to the
// reason. They must be rejected.
var neverSent = map[string]string{
	"kube-probe-28-named-ports": "a port that is a number as text, which the kubelet reads and the API refuses",
	"partly-there":              "some of our mounts without our volumes, which nobody leaves behind",
}

// TestGoldens sends the injected cases to the API server in a dry run. It sends the pod to
// a namespace with koordinator, which enforces Pod Security "restricted" if the pod
// complies with it. It sends the expected result to a namespace without koordinator, where
// it is not changed.
func TestGoldens(t *testing.T) {
	abreast(t)
	paths, err := filepath.Glob(goldens)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for name := range neverSent {
		if !slices.Contains(paths, strings.Replace(goldens, "*", name, 1)) {
			t.Errorf("there is no case %s", name)
		}
	}
	g := senderOfGoldens{t, connect(t), pairOfNamespaces(t), pairOfNamespaces(t, enabled)}
	each(paths, func(path string) {
		pod, result := caseOf(t, path)
		if result == nil {
			return // rejected, or not injected
		}
		name := strings.TrimSuffix(filepath.Base(path), ".txtar")
		if err := g.send(pod, result); (err != nil) != (neverSent[name] != "") {
			t.Errorf("%s: %v, but expected: %s", name, err, cmp.Or(neverSent[name], "none"))
		}
	})
}

// senderOfGoldens sends cases into namespaces without and with koordinator.
type senderOfGoldens struct {
	t               *testing.T
	api             kubernetes.Interface
	plain, injected map[bool]string
}

// send returns an error if the API server does not accept and inject the pod, or does not
// accept the expected result under the same Pod Security level.
func (g senderOfGoldens) send(pod, result []byte) error {
	ctx := g.t.Context()
	_, err := dryRun(ctx, g.api, g.plain[true], pod)
	restricted := err == nil
	if _, err := dryRun(ctx, g.api, g.plain[restricted], pod); err != nil {
		return fmt.Errorf("the pod itself: %w", err)
	}
	if _, err := dryRun(ctx, g.api, g.plain[restricted], result); err != nil {
		return fmt.Errorf("what comes of it: %w", err)
	}
	after, err := dryRun(ctx, g.api, g.injected[restricted], pod)
	if err != nil {
		return err
	}
	return checkInjected(after)
}

// caseOf returns the pod of a case and its expected result as JSON. The result is nil if
// the pod is not injected.
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
			if strings.Contains(string(f.Data), "koordinator.io/injected") { // otherwise, the pod is marked and not injected
				result = withToken(t, f.Data)
			}
		}
	}
	return pod, result
}

// withToken returns a pod as JSON, with the volume of the service account's token if a
// container mounts it. In the cases, only the mount stands for the API server's additions.
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
