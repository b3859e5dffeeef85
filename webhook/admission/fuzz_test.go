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

// seedEvery is how many templates of the corpus make one seed: all of them take
// longer to run than there is time.
const seedEvery = 20

// Whatever a pod looks like, it is refused or left alone, or the patch applies
// and what comes of it needs no other and is read by the wrapper.
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

// FuzzPodPart is a pod with another value at one place: bytes alone hardly ever
// make a pod.
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

// places are functions that write another value to a place within a JSON value,
// in the order of keys.
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

// checkAnswer fails unless a pod is refused, left alone or injected for good.
func checkAnswer(t *testing.T, pod []byte) {
	t.Helper()
	resp := ask(t, pod)
	if !resp.Allowed || resp.Patch == nil {
		return
	}
	after := patched(t, pod, resp)
	if again := ask(t, after); !again.Allowed || again.Patch != nil {
		t.Errorf("the second call is no no-op: patch %s, words %s\n%s", again.Patch, words(again), after)
	}
	checkRead(t, after)
}

// seeds are pods of the goldens and of the corpus.
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

// canonical is a pod as an API server would write it, which decodes before it
// asks: no key is there twice, and nothing is null. Beside that any pod goes.
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

// withoutNull leaves out members and elements that are null.
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

// checkRead fails unless the wrapper reads each spec that it would be started
// with. That the kubelet makes $ of $$ is all that happens to a value before.
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
