package main

import (
	"slices"
	"testing"
)

const running = "fuzz: elapsed: 9s, execs: 164218 (21803/sec), new interesting: 60 (total: 168)\n"

func TestOnlyAFailureWithoutAFindingIsForgiven(t *testing.T) {
	const over = "--- FAIL: FuzzA (10.07s)\n    context deadline exceeded\nFAIL\nexit status 1\nFAIL\tm/a\t10.114s\n"
	for name, test := range map[string]struct {
		output string
		want   bool
	}{
		"the time was over": {running + over, true},
		"a finding": {running + "--- FAIL: FuzzA (1.07s)\n    --- FAIL: FuzzA (0.00s)\n        a_test.go:7: context deadline exceeded\n" +
			"    \n    Failing input written to testdata/fuzz/FuzzA/1\nFAIL\nexit status 1\n", false},
		"a finding as the time was over": {running + "--- FAIL: FuzzA (10.07s)\n    context deadline exceeded\nFAIL\nFailing input written to testdata/fuzz/FuzzA/1\n", false},
		"a seed that fails":              {"--- FAIL: FuzzA (0.00s)\n    --- FAIL: FuzzA/seed#0 (0.00s)\n        a_test.go:7: no\nFAIL\n", false},
		"it does not build":              {"# m/a\na.go:3:1: syntax error\nFAIL\tm/a [build failed]\nFAIL\n", false},
		"a worker that was killed":       {running + "--- FAIL: FuzzA (3.07s)\n    fuzzing process hung or terminated unexpectedly: signal: killed\nFAIL\n", false},
	} {
		if have := onlyLate(test.output); have != test.want {
			t.Errorf("%s: forgiven %t", name, have)
		}
	}
}

func TestTargetsOfAllPackagesBelowAreFound(t *testing.T) {
	targets, err := find("../../wrapper")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []target{{"../../wrapper/compat", "FuzzTombstone"}, {"../../wrapper/spec", "FuzzParse"}} {
		if !slices.Contains(targets, want) {
			t.Errorf("no %v among %v", want, targets)
		}
	}
}
