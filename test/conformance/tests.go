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
	"strings"
)

// id matches the id of a case in a test's name.
var id = regexp.MustCompile(`\b(tini|dinit|cata|ecsu|ecsi|pc|comp|kube-term|kube-probe|sysd|tek|argo|kx|hbt|scut|gort|own)-\d\d\b`)

// modulePath is the prefix of every package's path.
const modulePath = "koordinator.io/koordinator/"

// tests holds the names of the passed tests, by the id of the case.
type tests map[string][]string

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, Test string
}

// read adds the results of a file.
func (t tests) read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	dec := json.NewDecoder(f)
	begun := map[string]bool{} // every test of the file so far, with its package's path
	for {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: not the output of go test -json: %w", path, err)
		}
		begun[e.Package+" "+e.Test] = true
		if e.Action == "pass" && e.Test != "" {
			t.add(e, begun)
		}
	}
}

// add records a passed test under every id in its own name.
func (t tests) add(e event, begun map[string]bool) {
	name := strings.TrimPrefix(e.Package, modulePath) + " " + e.Test
	for _, found := range ids(ownName(e, begun)) {
		if !slices.Contains(t[found], name) {
			t[found] = append(t[found], name)
		}
	}
}

// ownName returns a test's name without the name of its parent test, which is counted
// separately. The name itself may contain slashes.
func ownName(e event, begun map[string]bool) string {
	for end := len(e.Test) - 1; end > 0; end-- {
		if e.Test[end] == '/' && begun[e.Package+" "+e.Test[:end]] {
			return e.Test[end+1:]
		}
	}
	return e.Test
}

// ids returns the ids in a test's name, in which go test has replaced blanks.
func ids(name string) []string {
	return id.FindAllString(strings.ReplaceAll(name, "_", " "), -1)
}

// of returns the tests of a case, in order.
func (t tests) of(id string) []string { return slices.Sorted(slices.Values(t[id])) }

// known returns all ids in the tests' names, in order.
func (t tests) known() []string { return slices.Sorted(maps.Keys(t)) }
