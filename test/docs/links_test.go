package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// linked matches the target of a link or picture, in Markdown or HTML.
var linked = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:href|src|srcset)="([^"]+)"`)

// TestLinks checks the links between all pages, to files and to headings.
func TestLinks(t *testing.T) {
	pages, err := Pages("../..")
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		for _, problem := range broken(t, filepath.Join("../..", page)) {
			t.Errorf("%s: %s", page, problem)
		}
	}
}

// TestEveryPageIsReached checks that links lead from the index to every page.
func TestEveryPageIsReached(t *testing.T) {
	pages, err := Pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	reached := map[string]bool{}
	var visit func(page string)
	visit = func(page string) {
		if reached[page] || filepath.Ext(page) != ".md" {
			return
		}
		reached[page] = true
		for _, link := range linksIn(t, page) {
			if file, _, _ := strings.Cut(link, "#"); file != "" && !strings.Contains(link, "://") {
				visit(filepath.Join(filepath.Dir(page), file))
			}
		}
	}
	visit("../../docs/index.md")
	for _, page := range pages {
		if !reached[filepath.Join("../..", page)] {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// linksIn returns the targets of a page's links. It ignores code.
func linksIn(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for _, m := range linked.FindAllStringSubmatch(prose(t, page), -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// prose returns a page without its code blocks.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	code := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			code = !code
		} else if !code {
			b.WriteString(line)
		}
	}
	return b.String()
}

// broken returns the links of a page that have no target.
func broken(t *testing.T, page string) []string {
	t.Helper()
	var problems []string
	for _, link := range linksIn(t, page) {
		if strings.Contains(link, "://") {
			continue
		}
		file, anchor, _ := strings.Cut(link, "#")
		target := page
		if file != "" {
			target = filepath.Join(filepath.Dir(page), file)
		}
		if _, err := os.Stat(target); err != nil {
			problems = append(problems, fmt.Sprintf("link %s: no such file", link))
		} else if anchor != "" && !slices.Contains(anchors(t, target), anchor) {
			problems = append(problems, fmt.Sprintf("link %s: no such heading", link))
		}
	}
	return problems
}

// anchors returns the anchors of a page's headings.
func anchors(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(prose(t, page)) {
		if heading := strings.TrimLeft(line, "#"); heading != line {
			all = append(all, anchorOf(heading))
		}
	}
	return all
}

// anchorOf returns the anchor of a heading.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(strings.TrimSpace(heading)))
}

func TestBrokenLinksAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.md": "# A\n[b](b.md#two-words) [b](b.md#three) [c](c.md) ![](c.svg) <img src=\"d.svg\">\n```text\n[e](e.md)\n```\n[home](https://example.com/#x)\n",
		"b.md": "## Two words\n```text\n# three\n```\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"link b.md#three: no such heading", "link c.md: no such file", "link c.svg: no such file", "link d.svg: no such file"}
	if got := broken(t, filepath.Join(dir, "a.md")); !slices.Equal(got, want) {
		t.Errorf("broken links %q, want %q", got, want)
	}
}
