// Command versions writes docs/contributing/versions.md: what the end-to-end tests have
// shown on different versions of Kubernetes.
//
//	go run ./test/versions results.json…
//
// Each file is the output of go test -json of test/e2e on one version. If a test has run
// several times, its last result counts. Run the command from the module's directory. It fails if a test has failed, or if a file does not say which version
// it is about.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pageFile is the path of the page, relative to the module's directory.
const pageFile = "docs/contributing/versions.md"

// header is the beginning of the page.
const header = `# Kubernetes versions

This page shows the results of the end-to-end tests on different versions of Kubernetes, and the features of these versions that koordinator uses where they exist. ` + "`make test-versions`" + ` writes it. Feature gates have their default values, except for image volumes and stop signals, which the tests always enable.

`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "versions:", err)
		os.Exit(1)
	}
}

// run reads the results, writes the page and returns the problems.
func run(files []string) error {
	if len(files) == 0 {
		return errors.New("no results given: go run ./test/versions FILE…")
	}
	var all []result
	var failed []error
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		r, err := read(f)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for _, name := range r.names(false) {
			failed = append(failed, fmt.Errorf("%s failed on Kubernetes %s", name, r.version))
		}
		all = append(all, r)
	}
	if err := os.WriteFile(pageFile, []byte(page(all)), 0o644); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// result is what the tests have shown on one version.
type result struct {
	version  string
	tests    map[string]bool // whether each test has passed
	features map[string]bool
	order    []string // names of the features
}

// The lines of TestThePlatform.
var (
	versionLine = regexp.MustCompile(`: Kubernetes (v\S+)`)
	featureLine = regexp.MustCompile(`: feature ("(?:[^"\\]|\\.)*") exists: (true|false)`)
)

// read reads the output of go test -json.
func read(from io.Reader) (result, error) {
	r := result{tests: map[string]bool{}, features: map[string]bool{}}
	decoder := json.NewDecoder(from)
	for {
		var e struct{ Action, Test, Output string }
		err := decoder.Decode(&e)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r, fmt.Errorf("not the output of go test -json: %w", err)
		}
		switch {
		case e.Test == "":
		case e.Action == "pass":
			r.tests[e.Test] = true
		case e.Action == "run" || e.Action == "fail" || e.Action == "skip":
			r.tests[e.Test] = false
		case e.Test == "TestThePlatform":
			if err := r.note(e.Output); err != nil {
				return r, err
			}
		}
	}
	if r.version == "" {
		return r, errors.New("TestThePlatform has not run")
	}
	return r, nil
}

// names returns the names of the tests that have passed, or of those that have not.
func (r *result) names(passed bool) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.tests)) {
		if r.tests[name] == passed {
			all = append(all, name)
		}
	}
	return all
}

// note adds what a line of TestThePlatform says.
func (r *result) note(line string) error {
	if m := versionLine.FindStringSubmatch(line); m != nil {
		r.version = m[1]
	}
	if m := featureLine.FindStringSubmatch(line); m != nil {
		name, err := strconv.Unquote(m[1])
		if err != nil {
			return err
		}
		if !slices.Contains(r.order, name) {
			r.order = append(r.order, name)
		}
		r.features[name] = m[2] == "true"
	}
	return nil
}

// page returns the page, with the earliest version first.
func page(all []result) string {
	slices.SortFunc(all, func(a, b result) int { return strings.Compare(a.version, b.version) })
	var b strings.Builder
	b.WriteString(header)
	row := func(name string, cell func(result) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, r := range all {
			fmt.Fprintf(&b, " %s |", cell(r))
		}
		b.WriteString("\n")
	}
	row("", func(r result) string { return r.version })
	b.WriteString("|---|" + strings.Repeat("---|", len(all)) + "\n")
	row("passed tests", func(r result) string { return strconv.Itoa(len(r.names(true))) })
	row("failed tests", func(r result) string { return strconv.Itoa(len(r.names(false))) })
	for _, name := range all[len(all)-1].order {
		row(name, func(r result) string {
			if r.features[name] {
				return "yes"
			}
			return "no"
		})
	}
	return b.String()
}
