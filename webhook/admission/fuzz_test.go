package admission

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/corpus"
	"koordinator.io/koordinator/wrapper/spec"
)

// seedEvery is how many templates of the corpus there are per seed: all of them
// would take too long.
const seedEvery = 20

// FuzzPod checks that any pod is rejected or left unchanged, or that its patch
// applies and the result needs no other patch and can be read by the wrapper.
func FuzzPod(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		ask(t, raw)
		if pod, ok := canonical(raw); ok {
			checkAnswer(t, pod)
		}
	})
}

// FuzzPodPart replaces one value in a pod: random bytes alone are hardly ever a
// pod.
func FuzzPodPart(f *testing.F) {
	pods := seeds(f)
	for i := range pods {
		f.Add(uint16(i), uint16(i), `{"name": "main"}`)
		f.Add(uint16(i), uint16(3*i), "main: $(x)")
	}
	f.Fuzz(func(t *testing.T, which, where uint16, value string) {
		var pod, part any
		if err := json.Unmarshal(pods[int(which)%len(pods)], &pod); err != nil {
			t.Fatal(err)
		}
		if json.Unmarshal([]byte(value), &part) != nil {
			part = value
		}
		all := places(pod)
		all[int(where)%len(all)](part)
		raw, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		if pod, ok := canonical(raw); ok {
			checkAnswer(t, pod)
		}
	})
}

// places returns functions that each replace the value at one place within a JSON
// value, in the order of keys.
func places(v any) []func(any) {
	var all []func(any)
	switch parent := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(parent)) {
			all = append(all, func(value any) { parent[key] = value })
			all = append(all, places(parent[key])...)
		}
	case []any:
		for i := range parent {
			all = append(all, func(value any) { parent[i] = value })
			all = append(all, places(parent[i])...)
		}
	}
	return all
}

// checkAnswer fails unless a pod is rejected, left unchanged, or injected so that
// a second call changes nothing.
func checkAnswer(t *testing.T, pod []byte) {
	t.Helper()
	resp := ask(t, pod)
	checkWarnings(t, resp)
	if !resp.Allowed || resp.Patch == nil {
		return
	}
	after := patched(t, pod, resp)
	if again := ask(t, after); !again.Allowed || again.Patch != nil {
		t.Errorf("the second call is no no-op: patch %s, words %s\n%s", again.Patch, words(again), after)
	}
	checkRead(t, after)
}

// seeds returns pods of the goldens and of the corpus.
func seeds(f *testing.F) [][]byte {
	f.Helper()
	paths, err := filepath.Glob("testdata/inject/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no cases: %v", err)
	}
	var all [][]byte
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		i := slices.IndexFunc(archive.Files, func(file txtar.File) bool { return file.Name == "pod.yaml" })
		pod, err := yaml.YAMLToJSON(archive.Files[i].Data)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pod)
	}
	for i, template := range corpus.Templates() {
		if i%seedEvery != 0 {
			continue
		}
		pod, err := json.Marshal(template.Pod)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, pod)
	}
	return all
}

// canonical returns a pod as an API server would encode it, which decodes it
// first: no key occurs twice, and nothing is null. Otherwise, any pod is
// possible.
func canonical(raw []byte) ([]byte, bool) {
	var pod any
	if json.Unmarshal(raw, &pod) != nil {
		return nil, false
	}
	if json.Unmarshal(raw, new(corev1.Pod)) != nil {
		return nil, false
	}
	out, err := json.Marshal(withoutNull(pod))
	return out, err == nil
}

// withoutNull omits members and elements that are null.
func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if item == nil {
				delete(v, key)
			} else {
				v[key] = withoutNull(item)
			}
		}
	case []any:
		v = slices.DeleteFunc(v, func(item any) bool { return item == nil })
		for i := range v {
			v[i] = withoutNull(v[i])
		}
		return v
	}
	return v
}

// checkRead fails unless the wrapper can parse each spec with which it would be
// started. Before that, the kubelet only replaces $$ by $.
func checkRead(t *testing.T, after []byte) {
	t.Helper()
	pod := decode(t, after)
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, e := range c.Env {
			if e.Name != spec.Env || len(c.Command) == 0 || c.Command[0] != spec.Binary {
				continue
			}
			if _, err := spec.Parse(strings.ReplaceAll(e.Value, "$$", "$")); err != nil {
				t.Errorf("container %q: %v in %s", c.Name, err, e.Value)
			}
		}
	}
}
