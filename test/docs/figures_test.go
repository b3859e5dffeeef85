package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// measured is a figure of the wrapper's cost: the bench writes them into
// docs/performance.md, and they stand nowhere else.
var measured = regexp.MustCompile(`\d+\.\d+ (MB|MiB|ms|µs)\b`)

func TestB20FiguresStandInOnePlace(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md", "../../charts/koordinator/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		found := measured.FindAllString(string(text), -1)
		if name := filepath.Base(page); name == "performance.md" && len(found) == 0 {
			t.Error("the page of the figures has none that the test would find elsewhere")
		} else if name != "performance.md" && len(found) > 0 {
			t.Errorf("%s: %q: link to docs/performance.md instead", name, slices.Compact(found))
		}
	}
}
