package admission

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/test/sketch"
)

// given returns an annotation map. The names are given without the prefix.
func given(pairs ...string) map[string]string { return sketch.Annotations(pairs...) }

// podOf returns the pod that words describe, as JSON.
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
	want := `Warning: metadata.annotations[koordinator.io/command][a]: the setting has no effect, because "a" has no dependency and no other setting, and no container depends on it. Remove it, or add a dependency [KO225]
Warning: metadata.annotations[koordinator.io/mode][a]: the setting has no effect, because "a" has no dependency and no other setting, and no container depends on it. Remove it, or add a dependency [KO225]
Warning: metadata.annotations[koordinator.io/gate]: the setting has no effect, because it applies to containers that run under koordinator, and this pod has none. Add a dependency to a container [KO226]
Warning: metadata.annotations[koordinator.io/stop-timeout]: the setting has no effect, because it applies to containers that run under koordinator, and this pod has none. Add a dependency to a container [KO226]
`
	const mark = `[{"op":"add","path":"/metadata/annotations/koordinator.io~1status","value":"{\"version\":\"test\",\"reason\":\"nothing_to_wrap\"}"}]`
	if diff := cmp.Diff(want, words(resp)); diff != "" || string(resp.Patch) != mark {
		t.Errorf("patch %s, words (-want +have):\n%s", resp.Patch, diff)
	}
}
