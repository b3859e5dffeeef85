package docs

import "strings"

// unrun is the beginning of the comment before a block with commands that the tests do not
// run. The requirements of the commands, or what the tests do instead, follow.
const unrun = "not run by the tests"

// Command is a command that a page shows in a block of the language "console".
type Command struct {
	Line    int    // line in the page, from 1
	Section string // heading of the second level above it
	Text    string // the command line, without a comment at its end
	Reason  string // why the tests do not run it, "" if they do
}

// Commands returns the commands of a page, in order. In a block with a line that begins
// with "$ ", these lines are the commands, and the others are their output. In any other
// block, every line except comments is a command. A backslash continues a command on the
// next line.
func Commands(page string) ([]Command, error) {
	blocks, err := Blocks(page)
	var all []Command
	for _, b := range blocks {
		if b.Language == "console" {
			all = append(all, commandsIn(b)...)
		}
	}
	return all, err
}

// commandsIn returns the commands of one block.
func commandsIn(b Block) []Command {
	lines := strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n")
	prompts := strings.HasPrefix(b.Text, "$ ") || strings.Contains(b.Text, "\n$ ")
	reason := ""
	if rest, marked := strings.CutPrefix(b.Note, unrun); marked {
		if reason = strings.TrimSpace(strings.TrimPrefix(rest, ":")); reason == "" {
			reason = notSaid
		}
	}
	var all []Command
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if prompts && !strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		c := Command{Line: b.Line + i, Section: b.Section, Reason: reason}
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + strings.TrimSpace(lines[i])
		}
		text, _, _ := strings.Cut(strings.TrimPrefix(line, "$ "), "  #")
		c.Text = strings.TrimSpace(text)
		all = append(all, c)
	}
	return all
}

// notSaid is the reason for a mark that gives none.
const notSaid = "not said"

// Operated lists the pages whose commands TestTheCommandsOfTheDocumentation runs unchanged,
// on a cluster with koordinator.
var Operated = []string{
	"docs/how-to/air-gap.md", "docs/how-to/network-policies.md", "docs/how-to/pod-security.md", "docs/how-to/troubleshoot.md",
	"docs/explanation/threat-model.md", "docs/reference/metrics.md",
}

// Replaced lists the pages whose commands TestUpgradeAndRemovalAsDocumented runs in this
// order, while no other test runs.
var Replaced = []string{"docs/how-to/upgrade.md", "docs/how-to/uninstall.md"}

// Runnable reports whether a command can run unchanged on the cluster of the tests. This
// applies to kubectl and helm.
func Runnable(c Command) bool {
	tool, _, _ := strings.Cut(c.Text, " ")
	return c.Reason == "" && (tool == "kubectl" || tool == "helm")
}
