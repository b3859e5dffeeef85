// Command conformance lists the tests for each case of the corpus, which collects the
// expected behavior of an init, a dependency graph or a prober. A test demonstrates a case
// if it passed and its name contains the case's id.
//
//	go test -json ./... >results.json
//	go run ./test/conformance results.json…
//
// Run it from the module's directory. It reads test/corpus, and writes
// docs/contributing/conformance.md. It fails if the page did not match the results; if a
// required case, which must hold or was a bug in a released project, has neither a test nor
// an exception; if a case with an exception has a test; or if a test's name contains an id
// that is not in the corpus.
package main

import (
	"fmt"
	"os"
	"strings"
)

// The paths, relative to the module's directory.
const (
	scenariosFile  = "test/corpus/scenarios.json"
	exceptionsFile = "test/corpus/exceptions.txt"
	pageFile       = "docs/contributing/conformance.md"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run reads the results, writes the page and returns the problems.
func run(files []string) error {
	if len(files) == 0 {
		return fmt.Errorf("no results given: go test -json ./... >FILE, then give FILE")
	}
	cases, err := readCases(scenariosFile)
	if err != nil {
		return err
	}
	exceptions, err := readExceptions(exceptionsFile)
	if err != nil {
		return err
	}
	shown := tests{}
	for _, file := range files {
		if err := shown.read(file); err != nil {
			return err
		}
	}
	before, _ := os.ReadFile(pageFile) // the page may not exist yet
	now := page(cases, exceptions, shown)
	if err := os.WriteFile(pageFile, []byte(now), 0o644); err != nil {
		return err
	}
	fmt.Print(counts(cases, exceptions, shown))
	wrong := problems(cases, exceptions, shown)
	if string(before) != now {
		wrong = append(wrong, pageFile+" was not what these results say: it has been written anew, commit it")
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d problems:\n  %s", len(wrong), strings.Join(wrong, "\n  "))
	}
	return nil
}
