// Command prose runs vale, the linter for the language of the documentation, over all
// pages. Then it runs vale over two samples, which test the rules: a page in the style of
// good technical documentation must have no finding, and a page of faults must have a
// finding of every rule. Run it from the repository's root:
//
//	go run ./test/prose go run github.com/vale-cli/vale/v3/cmd/vale@VERSION
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"koordinator.io/koordinator/test/docs"
)

// The samples, and the directory of the rules.
const (
	good   = "test/prose/testdata/good.md"
	faults = "test/prose/testdata/faults.md"
	rules  = ".vale/koordinator"
)

// generated is a page that quotes other projects, and is not checked.
const generated = "docs/contributing/conformance.md"

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: prose VALE…")
		os.Exit(2)
	}
	problems, err := check(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

// check returns the problems of all pages and of the rules.
func check(vale []string) ([]string, error) {
	pages, err := docs.Pages(".")
	if err != nil {
		return nil, err
	}
	pages = slices.DeleteFunc(pages, func(page string) bool { return page == generated })
	found, err := run(vale, append(pages, good, faults)...)
	if err != nil {
		return nil, err
	}
	var problems []string
	seen := map[string]bool{}
	for _, f := range found {
		if f.page == faults {
			seen[f.Check] = true
			continue
		}
		problems = append(problems, f.String())
	}
	files, err := filepath.Glob(rules + "/*.yml")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no rules in %s: %w", rules, err)
	}
	for _, file := range files {
		rule := "koordinator." + strings.TrimSuffix(filepath.Base(file), ".yml")
		if !seen[rule] {
			problems = append(problems, fmt.Sprintf("%s: no finding of the rule %s", faults, rule))
		}
	}
	return problems, nil
}

// finding is a finding of vale.
type finding struct {
	page                  string
	Check, Message, Match string
	Line                  int
	Span                  [2]int
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d:%d: %s [%s]", f.page, f.Line, f.Span[0], f.Message, f.Check)
}

// run returns vale's findings in files, in order.
func run(vale []string, files ...string) ([]finding, error) {
	args := slices.Concat(vale[1:], []string{"--no-exit", "--output=JSON"}, files)
	cmd := exec.Command(vale[0], args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run vale: %w\n%s", err, out)
	}
	var byFile map[string][]finding
	if err := json.Unmarshal(out, &byFile); err != nil {
		return nil, fmt.Errorf("read the findings of vale: %w\n%s", err, out)
	}
	var all []finding
	for _, file := range files {
		for _, f := range byFile[file] {
			f.page = file
			all = append(all, f)
		}
	}
	return all, nil
}
