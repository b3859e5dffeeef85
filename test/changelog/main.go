// Changelog prints the changes since a tag or commit, in the form of CHANGELOG.md. It takes
// them from the first lines of the commits.
//
//	go run ./test/changelog -since v1.2.3
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	since := flag.String("since", "", "tag or commit after which it begins; by default the last tag, or everything without one")
	flag.Parse()
	text, err := changes(context.Background(), *since)
	if err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
	fmt.Print(text)
}

// changes returns the changes of the commits after a tag or commit.
func changes(ctx context.Context, since string) (string, error) {
	if since == "" {
		last, err := git(ctx, "describe", "--tags", "--abbrev=0", "HEAD^")
		if err == nil { // otherwise, no commit has a tag
			since = strings.TrimSpace(last)
		}
	}
	span := "HEAD"
	if since != "" {
		span = since + "..HEAD"
	}
	lines, err := git(ctx, "log", "--no-merges", "--format=%s", span)
	if err != nil {
		return "", err
	}
	return render(strings.Split(strings.TrimSpace(lines), "\n")), nil
}

// git returns the output of a git command.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // as it comes from Output
			return "", fmt.Errorf("git %s: %s", strings.Join(args, " "), strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// chapters lists the headings of the changelog, and the areas under each. The area is the
// text before the colon in a commit's first line, up to a slash or comma.
var chapters = []struct {
	heading string
	areas   []string
}{
	{"Run time", []string{"wrapper", "spec", "lifecycle", "process", "probe", "record", "podstatus", "podwatch", "compat", "command", "koordinator", "network", "env-file", "restart", "endpoints"}},
	{"Admission", []string{"webhook", "inject", "annotations", "admission", "commands", "image", "certificate", "rbac", "nodes", "workload", "policies", "rules", "problems", "messages"}},
	{"Installation and operation", []string{"chart", "charts", "config", "metrics", "fleet", "release", "images"}},
	{"Documentation", []string{"docs", "README", "CONTRIBUTING"}},
}

// other is the heading for areas that are in no chapter; unlisted are areas that users do not see.
const other = "Other changes"

var unlisted = []string{"test", "tests", "e2e", "chaos", "corpus", "bench", "cluster", "demo", "lint", "gofmt", "setup", "conformance", "make", "Makefile"}

// render groups the first lines of commits into chapters.
func render(lines []string) string {
	by := map[string][]string{}
	for _, line := range lines {
		area, what, found := strings.Cut(line, ": ")
		if !found {
			area, what = "", line
		}
		first, _, _ := strings.Cut(strings.ReplaceAll(area, ",", "/"), "/")
		if what == "" || slices.ContainsFunc(unlisted, func(a string) bool { return strings.EqualFold(a, first) }) {
			continue
		}
		heading := headingOf(first)
		if found {
			what = "**" + area + "**: " + what
		}
		by[heading] = append(by[heading], what)
	}
	var out strings.Builder
	for _, heading := range slices.SortedFunc(maps.Keys(by), func(a, b string) int { return cmp.Compare(place(a), place(b)) }) {
		fmt.Fprintf(&out, "### %s\n\n", heading)
		for _, what := range by[heading] {
			fmt.Fprintf(&out, "* %s\n", what)
		}
		out.WriteString("\n")
	}
	return out.String()
}

// headingOf returns the heading of an area.
func headingOf(area string) string {
	for _, c := range chapters {
		if slices.ContainsFunc(c.areas, func(a string) bool { return strings.EqualFold(a, area) }) {
			return c.heading
		}
	}
	return other
}

// place returns the number of a heading's chapter.
func place(heading string) int {
	for i, c := range chapters {
		if c.heading == heading {
			return i
		}
	}
	return len(chapters)
}
