package annotations

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// told is what is read of nodes: kinds and texts.
func told(n *yaml.Node) any {
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	all := []any{n.Kind, n.Line}
	for _, c := range n.Content {
		all = append(all, told(c))
	}
	return all
}

// The short way to read an annotation finds in it what YAML's own finds, or
// nothing.
func FuzzPlainYAML(f *testing.F) {
	for _, seed := range []string{
		"main: proxy", "main: proxy\n", "main: a, b=succeeded, cache?\nproxy: x\n", "main", "10s", "a b: c d", "a: b\n", "a:  b", "a: b ", "a : b",
		"- a", "a: -b", "a: b: c", "a: b #c", "a: #b", "", "\n", "a: b\n\n", "a: b\r\n", "a: b\n c: d", "a", "null: null", "true: 1e3", "1: 2001-01-01",
		"a: b\na: c", "? a", "a: ?b", "---", "a: ---", "...", "a: ...", "--- a", "%YAML 1", "a\nb", "a:\n", "a: =", "<<: a", "x: y?", "x?: y", "x?", "a,: b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		have, ok := plainYAML(text)
		if !ok {
			return
		}
		want, err := parseAnyYAML(text)
		if err != nil {
			t.Fatalf("%q is read, but YAML has it: %v", text, err)
		}
		if diff := cmp.Diff(told(want), told(have)); diff != "" {
			t.Fatalf("%q (-want +have):\n%s", text, diff)
		}
	})
}

func TestMostAnnotationsArePlain(t *testing.T) {
	for _, text := range []string{"main: proxy\n", "main: cloud-sql-proxy, migrate=succeeded, cache?", "10s", "a: 1\nb: 2\n"} {
		if _, ok := plainYAML(text); !ok {
			t.Errorf("%q takes the long way", text)
		}
	}
}
