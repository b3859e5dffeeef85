package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// scenario is a case of the corpus.
type scenario struct {
	ID         string `json:"id"`
	Source     string `json:"source"`
	SourceTest string `json:"source_test"`
	Area       string `json:"area"`
	Relevance  string `json:"relevance"` // must, regression, choice, reference or divergent
	Given      string `json:"given"`
	When       string `json:"when"`
	Expect     string `json:"expect"`
	Note       string `json:"note"`
}

// required reports whether a test must demonstrate the case.
func (s scenario) required() bool { return s.Relevance == "must" || s.Relevance == "regression" }

// readCases reads the corpus.
func readCases(path string) ([]scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file struct {
		Scenarios []scenario `json:"scenarios"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file.Scenarios, nil
}

// readExceptions reads the reasons why cases have no test: lines "id: reason". A line that
// begins with # is a comment.
func readExceptions(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, reason, found := strings.Cut(line, ": ")
		if !found || reasons[id] != "" {
			return nil, fmt.Errorf("%s:%d: want \"id: reason\", each id once", path, number)
		}
		reasons[id] = reason
	}
	return reasons, nil
}
