package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// events returns the output of go test -json on a version.
func events(version, feature, end string) string {
	return `{"Action":"run","Test":"TestThePlatform"}
{"Action":"output","Test":"TestThePlatform","Output":"    platform_test.go:70: feature \"a ` + "`b`" + `\" exists: ` + feature + `\n"}
{"Action":"output","Test":"TestThePlatform","Output":"    platform_test.go:72: Kubernetes ` + version + `\n"}
{"Action":"pass","Test":"TestThePlatform"}
{"Action":"output","Test":"TestOther","Output":"    other_test.go:1: Kubernetes v9.9.9\n"}
{"Action":"` + end + `","Test":"TestOther"}
{"Action":"` + end + `"}
`
}

func TestThePageHasAColumnForEachVersion(t *testing.T) {
	var all []result
	for _, raw := range []string{events("v1.36.3", "true", "pass"), events("v1.34.4", "false", "fail")} {
		r, err := read(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	want := header + "|  | v1.34.4 | v1.36.3 |\n|---|---|---|\n| passed tests | 1 | 2 |\n| failed tests | 1 | 0 |\n| a `b` | no | yes |\n"
	if got := page(all); got != want {
		t.Errorf("have:\n%s\nwant:\n%s", got, want)
	}
}

func TestAResultThatShowsNothingIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "TestThePlatform has not run",
		`{"Action":"pass","Test":"TestOther"}`: "TestThePlatform has not run",
		"PASS":                                 "not the output of go test -json",
	} {
		if _, err := read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: have error %v, want %q", text, err, want)
		}
	}
}

func TestAFailedTestIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll(filepath.Dir(pageFile), 0o755); err != nil {
		t.Fatal(err)
	}
	const failed = "TestOther failed on Kubernetes v1.36.3"
	for ends, want := range map[string]string{"pass": "", "fail": failed, "skip": failed, "run": failed, "fail pass": "", "pass fail": failed} {
		var all strings.Builder
		for end := range strings.FieldsSeq(ends) {
			all.WriteString(events("v1.36.3", "true", end))
		}
		if err := os.WriteFile("results.json", []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		have := ""
		if err := run([]string{"results.json"}); err != nil {
			have = err.Error()
		}
		if have != want {
			t.Errorf("%s: have error %q, want %q", ends, have, want)
		}
		if _, err := os.Stat(pageFile); err != nil {
			t.Error(err)
		}
	}
}
