// Package docs reads the commands that the documentation shows, for the tests
// that run them.
package docs

import (
	"io/fs"
	"os"
	"slices"
	"strings"
)

// unrun marks, in a comment behind it, a command that the tests do not run. What
// it needs, or what they do instead, follows.
const unrun = "# not run by the tests"

// Command is one that a page shows in a block of the language "console".
type Command struct {
	Line    int    // in the page, from 1
	Section string // heading of the second level that it stands under
	Text    string // as it is typed, without the comment behind it
	Reason  string // why the tests do not run it, "" where they do
}

// Commands are those of a page, in its order. In a block with a line that
// begins with "$ " these lines are the commands, and the others are what they
// print; in any other block every line is a command, but for comments. A
// command goes on in the next line after a backslash.
func Commands(page string) ([]Command, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var all []Command
	section := ""
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		if heading, found := strings.CutPrefix(lines[i], "## "); found {
			section = heading
		}
		if !strings.HasPrefix(lines[i], "```") {
			continue
		}
		end := i + 1 + slices.IndexFunc(lines[i+1:], func(line string) bool { return strings.HasPrefix(line, "```") })
		if lines[i] == "```console" {
			all = append(all, block(section, lines[i+1:end], i+2)...)
		}
		i = end
	}
	return all, nil
}

// block are the commands of one block, whose first line has that number.
func block(section string, lines []string, number int) []Command {
	isPrompt := func(line string) bool { return strings.HasPrefix(line, "$ ") }
	prompts := slices.ContainsFunc(lines, isPrompt)
	var all []Command
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if prompts && !isPrompt(line) || strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		c := Command{Line: number + i, Section: section}
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + strings.TrimSpace(lines[i])
		}
		c.Text, c.Reason = split(strings.TrimPrefix(line, "$ "))
		all = append(all, c)
	}
	return all
}

// split parts a command from the comment behind it, which begins after two
// spaces at least.
func split(line string) (command, reason string) {
	command, comment, found := strings.Cut(line, "  #")
	if rest, marked := strings.CutPrefix("#"+comment, unrun); found && marked {
		reason = strings.TrimSpace(strings.TrimPrefix(rest, ":"))
		if reason == "" {
			reason = "not said"
		}
	}
	return strings.TrimSpace(command), reason
}

// Pages are the pages with commands, by their paths below the root: the README,
// the chart's, and those in docs.
func Pages(root string) ([]string, error) {
	pages, err := fs.Glob(os.DirFS(root), "docs/*.md")
	return append(pages, "README.md", "charts/koordinator/README.md"), err
}

// Runnable reports whether a command can be run as it stands on the cluster of
// the tests: kubectl and helm can.
func Runnable(c Command) bool {
	tool, _, _ := strings.Cut(c.Text, " ")
	return c.Reason == "" && (tool == "kubectl" || tool == "helm")
}
