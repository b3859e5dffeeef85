package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits for a line in the table.
const (
	shownTests = 3
	textLength = 220
)

// problems returns the reasons why the tests do not match the corpus.
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

// counts returns how many cases of each relevance have tests.
func counts(cases []scenario, exceptions map[string]string, shown tests) string {
	var b strings.Builder
	b.WriteString("| relevance | cases | with tests | with a reason | with neither |\n|---|---|---|---|---|\n")
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

// page returns the text of docs/contributing/conformance.md. It contains nothing that
// differs between runs.
func page(cases []scenario, exceptions map[string]string, shown tests) string {
	var b strings.Builder
	b.WriteString(`# Conformance

This page lists the behaviors of similar systems, and the tests that show how koordinator behaves in each case.
The cases come from ` + "`test/corpus/scenarios.json`" + `: behaviors that other init programs, dependency graphs and probers
document or test, and bugs that these programs had in a release. ` + "`make conformance`" + ` generates the page from the test results.

Cases with the relevance *must* or *regression* have a test that passed, or a reason why there is none. *choice*,
*divergent* and *reference* cases have a test only if koordinator behaves like the other system.

Each case has a situation, usually an event, and the expected result, separated by arrows. In most *regression* cases,
the result is the bug instead. Slashes separate alternatives, and the result contains one value for each of them.
The last column contains the tests, or the reason why there is none.

`)
	b.WriteString(counts(cases, exceptions, shown))
	for _, area := range areas(cases) {
		fmt.Fprintf(&b, "\n## %s\n\n| case | relevance | situation → event → result | tests |\n|---|---|---|---|\n", area)
		for _, c := range cases {
			if c.Area == area {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", c.ID, c.Relevance, escape(text(c)), escape(evidence(c, exceptions, shown)))
			}
		}
	}
	return b.String()
}

// areas returns the areas of the cases, in order.
func areas(cases []scenario) []string {
	var all []string
	for _, c := range cases {
		all = append(all, c.Area)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// text returns a case in one line.
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

// evidence returns the tests of a case, or the reason why there is none.
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

// escape escapes a text for a table cell.
func escape(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s)
}
