package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// measured matches a figure of the wrapper's cost. The benchmark writes these figures into
// docs/explanation/performance.md; no other page may contain them.
var measured = regexp.MustCompile(`\d+\.\d+ (MB|MiB|ms|µs)\b`)

func TestB20FiguresStandInOnePlace(t *testing.T) {
	pages, err := Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(filepath.Join("../..", page))
		if err != nil {
			t.Fatal(err)
		}
		found := measured.FindAllString(string(text), -1)
		if name := filepath.Base(page); name == "performance.md" && len(found) == 0 {
			t.Error("the page of the figures has none that the test would find elsewhere")
		} else if name != "performance.md" && len(found) > 0 {
			t.Errorf("%s: %q: link to docs/explanation/performance.md instead", name, slices.Compact(found))
		}
	}
}
