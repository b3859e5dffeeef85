// Package docs parses the pages of the documentation, for the tests that check the pages
// and run their commands.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Pages returns the paths of all pages relative to the root: the pages in docs, and those
// next to the code.
func Pages(root string) ([]string, error) {
	pages := []string{
		"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "SUPPORT.md", "charts/koordinator/README.md", "test/cluster/README.md",
	}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	return pages, err
}

// Block is a code block of a page.
type Block struct {
	Line     int    // first line of the code in the page, from 1
	Section  string // heading of the second level above it
	Language string
	Note     string // comment on the line before the block, which readers do not see
	Text     string
}

// Blocks returns the code blocks of a page, in order.
func Blocks(page string) ([]Block, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var all []Block
	section, note := "", ""
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		if heading, found := strings.CutPrefix(lines[i], "## "); found {
			section = heading
		}
		language, begins := strings.CutPrefix(strings.TrimSpace(lines[i]), "```")
		if !begins {
			note = comment(lines[i])
			continue
		}
		indent := strings.Repeat(" ", strings.Index(lines[i], "`")) // a block in a list is indented
		end := i + 1 + slices.IndexFunc(lines[i+1:], func(line string) bool { return strings.TrimSpace(line) == "```" })
		var code strings.Builder
		for _, line := range lines[i+1 : end] {
			code.WriteString(strings.TrimPrefix(line, indent) + "\n")
		}
		all = append(all, Block{Line: i + 2, Section: section, Language: language, Note: note, Text: code.String()})
		i, note = end, ""
	}
	return all, nil
}

// comment returns the text of a line that is an HTML comment.
func comment(line string) string {
	text, found := strings.CutPrefix(strings.TrimSpace(line), "<!--")
	if !found {
		return ""
	}
	return strings.TrimSpace(strings.TrimSuffix(text, "-->"))
}
