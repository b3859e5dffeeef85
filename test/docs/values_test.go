package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// dotted matches a value of the chart in the pages' notation.
var dotted = regexp.MustCompile("`([a-z][a-zA-Z]+(?:\\.[a-z][a-zA-Z]+)+)\\b")

// TestPagesNameOnlyValuesThatTheChartHas checks each part.value in the pages whose part is
// one of the chart's.
func TestPagesNameOnlyValuesThatTheChartHas(t *testing.T) {
	text, err := os.ReadFile("../../charts/koordinator/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	pages, err := Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range dotted.FindAllStringSubmatch(string(text), -1) {
			path := strings.Split(named[1], ".")
			if part, ours := values[path[0]].(map[string]any); ours {
				found++
				if !holds(part, path[1:]) {
					t.Errorf("%s names the value %s, which the chart does not have", page, named[1])
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names a value: this test reads them wrong")
	}
}

// holds reports whether values have an entry at a path.
func holds(values map[string]any, path []string) bool {
	value, found := values[path[0]]
	if !found || len(path) == 1 {
		return found
	}
	inner, deeper := value.(map[string]any)
	return deeper && holds(inner, path[1:])
}
