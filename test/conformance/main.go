// Command conformance says which test shows which case of the corpus: what an
// init, a dependency graph or a prober is expected to do. A test shows a case
// when it passed and has the case's id in its name.
//
//	go test -json ./... >results.json
//	go run ./test/conformance results.json…
//
// It is run from the module's directory, reads test/corpus, and writes
// docs/conformance.md. It fails where that was not what the results say;
// where a case that must hold, or that somebody
// shipped as a bug, has neither a test nor an exception; where an exception's
// case has a test; and where a name holds an id that the corpus does not know.
package main

import (
	"fmt"
	"os"
	"strings"
)

// Where things are, from the module's directory.
const (
	scenariosFile  = "test/corpus/scenarios.json"
	exceptionsFile = "test/corpus/exceptions.txt"
	pageFile       = "docs/conformance.md"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run reads the results, writes the page and says what is wrong.
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
	before, _ := os.ReadFile(pageFile) // at first there is none
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
