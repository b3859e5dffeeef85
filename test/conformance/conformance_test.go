package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var sample = []scenario{
	{ID: "own-01", Area: "signals", Relevance: "must", Given: "a | b", Expect: "c"},
	{ID: "own-02", Area: "signals", Relevance: "choice", Expect: "as named", SourceTest: "TestX"},
	{ID: "pc-03", Area: "graph", Relevance: "regression", When: "-"},
}

// results parses lines of go test -json.
func results(t *testing.T, lines ...string) tests {
	t.Helper()
	path := filepath.Join(t.TempDir(), "results")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	shown := tests{}
	if err := shown.read(path); err != nil {
		t.Fatal(err)
	}
	return shown
}

func passed(test string) string {
	return `{"Action":"pass","Package":"koordinator.io/koordinator/wrapper","Test":"` + test + `"}`
}

func begun(test string) string {
	return strings.Replace(passed(test), "pass", "run", 1)
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name       string
		results    []string
		exceptions map[string]string
		want       []string // a part of the text of each problem
	}{
		{"every case shown", []string{passed("TestA/own-01_pc-03_both")}, nil, nil},
		{"one shown, one excepted", []string{passed("TestA/own-01_it")}, map[string]string{"pc-03": "the kubelet's"}, nil},
		{"nothing shown", nil, nil, []string{"own-01 (must, signals)", "pc-03 (regression, graph)"}},
		{"a failed test shows nothing", []string{passed("TestA/own-01_it"), `{"Action":"fail","Test":"TestA/pc-03_it"}`}, nil, []string{"pc-03"}},
		{"an exception that a test shows", []string{passed("TestA/own-01_pc-03")}, map[string]string{"pc-03": "x"}, []string{"pc-03: an exception, and shown by wrapper TestA/own-01_pc-03"}},
		{"an exception for an unknown case", []string{passed("TestA/own-01_pc-03")}, map[string]string{"own-77": "x"}, []string{"own-77: an exception for a case"}},
		{"an unknown id", []string{passed("TestA/own-01_pc-03_own-99")}, nil, []string{"own-99: named by wrapper TestA/"}},
		{"a slash in a test's name", []string{begun("TestA"), passed("TestA/own-01_pc-03_to_/dev/null")}, nil, nil},
		{"a name counts for its own test", []string{begun("TestA"), begun("TestA/own-01_pc-03"), passed("TestA/own-01_pc-03/part")}, nil, []string{"own-01", "pc-03"}},
		{"a longer number is no id", []string{passed("TestA/own-01_pc-03_own-991")}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			have := problems(sample, test.exceptions, results(t, test.results...))
			if len(have) != len(test.want) {
				t.Fatalf("have %q, want %q", have, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(have[i], want) {
					t.Errorf("have %q, want %q in it", have[i], want)
				}
			}
		})
	}
}

func TestPageDoesNotDependOnTheOrderOfResults(t *testing.T) {
	a := []string{passed("TestA/own-01_a"), passed("TestA/own-01_b"), passed("TestA/own-01_c"), passed("TestA/own-01_d")}
	b := []string{a[3], a[1], a[0], a[2], a[2]}
	one, other := page(sample, nil, results(t, a...)), page(sample, nil, results(t, b...))
	if one != other {
		t.Errorf("pages differ:\n%s\n%s", one, other)
	}
	for _, want := range []string{`a \| b → c`, "| own-02 | choice | TestX |", "and 1 more", "| must | 1 | 1 | 0 | 0 |"} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in %s", want, one)
		}
	}
}

func TestReadExceptions(t *testing.T) {
	for text, ok := range map[string]bool{
		"# remark\n\nown-01: why: so\n": true,
		"own-01\n":                      false,
		"own-01: a\nown-01: b\n":        false,
	} {
		path := filepath.Join(t.TempDir(), "exceptions")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		have, err := readExceptions(path)
		if (err == nil) != ok || ok && have["own-01"] != "why: so" {
			t.Errorf("%q: %v, %v", text, have, err)
		}
	}
}

// TestCorpus checks the corpus itself.
func TestCorpus(t *testing.T) {
	cases, err := readCases("../corpus/scenarios.json")
	if err != nil {
		t.Fatal(err)
	}
	exceptions, err := readExceptions("../corpus/exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.ID] || id.FindString(c.ID) != c.ID {
			t.Errorf("id %q is there twice, or no id", c.ID)
		}
		seen[c.ID] = true
	}
	for id := range exceptions {
		if !seen[id] {
			t.Errorf("an exception for %q, which is not in the corpus", id)
		}
	}
}
