package admission

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/test/sketch"
)

// given shortens an annotation map for tests: names are without the prefix.
func given(pairs ...string) map[string]string { return sketch.Annotations(pairs...) }

// podOf is a pod of words, as JSON.
func podOf(t *testing.T, words string, annotations map[string]string) []byte {
	t.Helper()
	raw, err := json.Marshal(sketch.Pod(words, annotations))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestValueForNobodyIsWarnedOf(t *testing.T) {
	resp := ask(t, podOf(t, "Never a", given("stop-timeout", "5s", "command", "a: [/a]", "mode", "a: exec", "gate", "false")))
	want := `Warning: koordinator.io/command: container "a": has no effect: container "a" has no dependency and no other setting, and nothing depends on it
Warning: koordinator.io/mode: container "a": has no effect: container "a" has no dependency and no other setting, and nothing depends on it
Warning: koordinator.io/gate: it is for every wrapped container, but none is: give a container a dependency
Warning: koordinator.io/stop-timeout: it is for every wrapped container, but none is: give a container a dependency
`
	const mark = `[{"op":"add","path":"/metadata/annotations/koordinator.io~1status","value":"{\"version\":\"test\",\"reason\":\"nothing_to_wrap\"}"}]`
	if diff := cmp.Diff(want, words(resp)); diff != "" || string(resp.Patch) != mark {
		t.Errorf("patch %s, words (-want +have):\n%s", resp.Patch, diff)
	}
}
