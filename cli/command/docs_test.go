package command

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// update selects writing the pages instead of comparing them.
var update = flag.Bool("update", false, "write docs/reference/cli from the commands")

// pages is the directory of the commands' reference pages.
const pages = "../../docs/reference/cli"

// every calls do with each command.
func every(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, child := range cmd.Commands() {
		if !child.Hidden && child.Name() != "help" { // cobra adds the command help to groups; the tool does not use it
			every(child, do)
		}
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	every(newRoot(), func(cmd *cobra.Command) {
		if cmd.Short == "" || cmd.Example == "" || !strings.Contains(cmd.Example, "kubectl") {
			t.Errorf("%s: short description %q, examples %q", cmd.CommandPath(), cmd.Short, cmd.Example)
		}
	})
}

func TestEveryCommandHasAStory(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var stories strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stories.Write(text)
	}
	every(newRoot(), func(cmd *cobra.Command) {
		called := "exec " + strings.Replace(cmd.CommandPath(), "kubectl koordinator", "kubectl-koordinator", 1) + " "
		if cmd.HasParent() && cmd.Runnable() && !cmd.HasSubCommands() && !strings.Contains(strings.ReplaceAll(stories.String(), "\n", " \n"), called) {
			t.Errorf("no story has %q", called)
		}
	})
}

func TestThePagesAreThoseOfTheCommands(t *testing.T) {
	root := newRoot()
	root.DisableAutoGenTag = true
	want := map[string]bool{}
	every(root, func(cmd *cobra.Command) {
		var page bytes.Buffer
		if err := doc.GenMarkdown(cmd, &page); err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
		want[name] = true
		path := filepath.Join(pages, name)
		if *update {
			if err := os.WriteFile(path, page.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, page.Bytes()) {
			t.Errorf("%s is not what the command says (%v): go test ./cli/command -run Pages -update", path, err)
		}
	})
	have, err := os.ReadDir(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range have {
		if !want[page.Name()] {
			t.Errorf("%s is of no command: remove it", page.Name())
		}
	}
}

// The how-to page must have a row for each story of a mistake.
func TestThePageOnMistakesNamesEveryStory(t *testing.T) {
	page, err := os.ReadFile("../../docs/how-to/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	stories, err := filepath.Glob("testdata/lint-*.txtar")
	if err != nil || len(stories) != 10 {
		t.Fatalf("%d stories, %v", len(stories), err)
	}
	for _, story := range stories {
		text, err := os.ReadFile(story)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		mistake, code, found := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(first, "# "), ")."), " (")
		if row := "| " + mistake + " | " + code + " |"; !found || !strings.Contains(string(page), row) {
			t.Errorf("%s: docs/how-to/lint.md has no row %q", story, row)
		}
	}
}
