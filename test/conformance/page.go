package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Bounds of a line in the table.
const (
	shownTests = 3
	textLength = 220
)

// problems are what keeps the corpus from being shown.
func problems(cases []scenario, exceptions map[string]string, shown tests) []string {
	var wrong []string
	known := map[string]bool{}
	for _, c := range cases {
		known[c.ID] = true
		if c.required() && len(shown[c.ID]) == 0 && exceptions[c.ID] == "" {
			wrong = append(wrong, fmt.Sprintf("%s (%s, %s): neither a test nor an exception: %s", c.ID, c.Relevance, c.Area, text(c)))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(exceptions)) {
		if !known[id] {
			wrong = append(wrong, fmt.Sprintf("%s: an exception for a case that is not in the corpus", id))
		}
		if tests := shown.of(id); len(tests) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s: an exception, and shown by %s", id, tests[0]))
		}
	}
	for _, id := range shown.known() {
		if !known[id] {
			wrong = append(wrong, fmt.Sprintf("%s: named by %s, not in the corpus", id, shown.of(id)[0]))
		}
	}
	return wrong
}

// counts says how many cases of each relevance are shown.
func counts(cases []scenario, exceptions map[string]string, shown tests) string {
	var b strings.Builder
	b.WriteString("| relevance | cases | shown by tests | exceptions | neither |\n|---|---|---|---|---|\n")
	for _, relevance := range []string{"must", "regression", "choice", "divergent", "reference"} {
		all, tested, excepted := 0, 0, 0
		for _, c := range cases {
			switch {
			case c.Relevance != relevance:
				continue
			case len(shown[c.ID]) > 0:
				tested++
			case exceptions[c.ID] != "":
				excepted++
			}
			all++
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", relevance, all, tested, excepted, all-tested-excepted)
	}
	return b.String()
}

// page is docs/conformance.md. It says nothing that changes from run to run.
func page(cases []scenario, exceptions map[string]string, shown tests) string {
	var b strings.Builder
	b.WriteString(`# What is expected of a supervisor, and where it is shown

Written by ` + "`go run ./test/conformance`" + ` from the results of the tests. The cases are those of
` + "`test/corpus/scenarios.json`" + `: behaviours that other inits, dependency graphs and probers document or test, and bugs that
were shipped. *must* and *regression* cases have a test that passed, or a reason why there is none; of *choice*,
*divergent* and *reference* cases those are named that we took over.

`)
	b.WriteString(counts(cases, exceptions, shown))
	for _, area := range areas(cases) {
		fmt.Fprintf(&b, "\n## %s\n\n| case | | what | shown by |\n|---|---|---|---|\n", area)
		for _, c := range cases {
			if c.Area == area {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Relevance, escape(text(c)), escape(evidence(c, exceptions, shown)))
			}
		}
	}
	return b.String()
}

// areas are the cases' areas, in order.
func areas(cases []scenario) []string {
	var all []string
	for _, c := range cases {
		all = append(all, c.Area)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// text is a case in a line.
func text(c scenario) string {
	var parts []string
	for _, part := range []string{c.Given, c.When, c.Expect} {
		if part != "" && part != "-" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 || len(parts) == 1 && parts[0] == "as named" {
		parts = []string{c.SourceTest}
	}
	line := strings.Join(parts, " → ")
	if runes := []rune(line); len(runes) > textLength {
		line = string(runes[:textLength-1]) + "…"
	}
	return line
}

// evidence is the tests that show a case, or why there is none.
func evidence(c scenario, exceptions map[string]string, shown tests) string {
	tests := shown.of(c.ID)
	if len(tests) == 0 {
		return exceptions[c.ID]
	}
	more := ""
	if n := len(tests) - shownTests; n > 0 {
		tests, more = tests[:shownTests], fmt.Sprintf(" and %d more", n)
	}
	return "`" + strings.Join(tests, "`, `") + "`" + more
}

// escape keeps a text inside its cell.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
