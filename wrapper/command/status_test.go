package command

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestTheFormOfTheStatus(t *testing.T) {
	for text, want := range map[string]bool{"": false, "-o json": true, "-ojson": true, "-o=json": true, "-o = json": true} {
		if have, err := outputJSON(strings.Fields(text)); err != nil || have != want {
			t.Errorf("%q: JSON: %t, %v, want %t", text, have, err, want)
		}
	}
	const form = "the only format is json; without -o status prints a table"
	for text, want := range map[string]string{
		"-o yaml":   `unknown output format "yaml": ` + form,
		"-o":        `unknown output format "": ` + form,
		"-o json x": `unknown output format "json x": ` + form,
		"json":      `unknown argument "json": status takes -o json, or nothing`,
		"main -o":   `unknown argument "main -o": status takes -o json, or nothing`,
		"--output":  `unknown argument "--output": status takes -o json, or nothing`,
	} {
		if _, err := outputJSON(strings.Fields(text)); err == nil || err.Error() != want {
			t.Errorf("%q: have %v, want %s", text, err, want)
		}
	}
}

// TestTheStatusOfEveryState uses one container per state, and compares both
// outputs.
func TestTheStatusOfEveryState(t *testing.T) {
	i := invoke(t, "", "koordinator", "status")
	exit := func(code int, forGood bool, reason string) *record.Exit {
		return &record.Exit{Code: code, ForGood: forGood, Reason: reason}
	}
	table := []struct {
		container string
		state     record.State
		killed    bool   // its wrapper was killed
		want      string // a line, with the age as N
		json      string // of State, ExitCode and Reason
	}{
		{"a-waits", record.State{Phase: "waiting", For: []string{"db to be ready", "cache to exit"}}, false, "waiting no N for db to be ready, cache to exit", `"waiting" null ""`},
		{"b-runs", record.State{Phase: "running", Started: true, Ready: true}, false, "running yes N", `"running" null ""`},
		{"c-unready", record.State{Phase: "running", Started: true, Trouble: "exit code 3"}, false, "running no N exit code 3", `"running" null "exit code 3"`},
		{"d-holds", record.State{Phase: "holding", Started: true, Stopping: true, For: []string{"main to exit"}}, false, "holding no N for main to exit; asked to stop", `"holding" null ""`},
		{"e-exited", record.State{Phase: "exited", Stopping: true, Exit: exit(7, true, "")}, false, "exited no N exit code 7", `"exited" 7 ""`},
		{"f-restarts", record.State{Phase: "exited", Exit: exit(1, false, "")}, false, "restarting no N exit code 1", `"restarting" 1 ""`},
		{"g-refused", record.State{Phase: "exited", Exit: exit(69, true, spec.NotStarted+"db will never be ready")}, false, "exited no N exit code 69; db will never be ready", `"exited" 69 "db will never be ready"`},
		{"h-killed", record.State{Phase: "running", Started: true, Ready: true}, true, "killed no -", `"killed" null ""`},
		{"i-exited", record.State{Phase: "exited", Exit: exit(0, true, "")}, true, "exited no N exit code 0", `"exited" 0 ""`},
	}
	for _, tt := range table {
		dir := filepath.Join(i.peersDir, tt.container)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		r, err := record.Create(dir, "", spec.Restart{})
		if err != nil {
			t.Fatal(err)
		}
		keepOpen(t, r)
		if err := r.Update(tt.state); err != nil {
			t.Fatal(err)
		}
		if tt.killed {
			unlock(t, dir)
		}
	}
	for name, text := range map[string]string{"x-pending": "", "y-broken": "{"} {
		dir := filepath.Join(i.peersDir, name)
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "record"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(i.peersDir, "no-container"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := i.main(); code != 0 {
		t.Fatalf("code %d: %s", code, i.err.String())
	}
	lines := strings.Split(strings.TrimSpace(i.out.String()), "\n")
	if len(lines) != len(table)+3 || !regexp.MustCompile(`^CONTAINER +STATE +READY +AGE +DETAIL$`).MatchString(lines[0]) {
		t.Fatalf("printed\n%s", i.out.String())
	}
	age := regexp.MustCompile(` \d+s( |$)`)
	for n, tt := range table {
		have := age.ReplaceAllString(strings.Join(strings.Fields(lines[n+1]), " "), " N$1")
		if have != tt.container+" "+tt.want {
			t.Errorf("have %q, want %q", have, tt.container+" "+tt.want)
		}
	}
	if have := strings.Join(strings.Fields(lines[len(table)+1]), " "); have != "x-pending pending no - its wrapper has not run yet" {
		t.Errorf("have %q", have)
	}
	if have := strings.Join(strings.Fields(lines[len(table)+2]), " "); !strings.HasPrefix(have, "y-broken unknown no - ") || len(have) < 25 {
		t.Errorf("have %q", have)
	}

	i.args = []string{"status", "-o", "json"}
	i.out.Reset()
	if code := i.main(); code != 0 {
		t.Fatalf("code %d: %s", code, i.err.String())
	}
	var all []struct {
		Container, State, Reason string
		ExitCode                 *int
		Since                    *string
	}
	if err := json.Unmarshal(i.out.Bytes(), &all); err != nil || len(all) != len(table)+2 {
		t.Fatalf("%v: %s", err, i.out.String())
	}
	for n, tt := range table {
		have, err := json.Marshal([]any{all[n].State, all[n].ExitCode, all[n].Reason})
		if want := "[" + strings.Join(strings.SplitN(tt.json, " ", 3), ",") + "]"; err != nil || string(have) != want || all[n].Container != tt.container {
			t.Errorf("%s: have %s, want %s", all[n].Container, have, want)
		}
		if since := all[n].Since != nil; since != strings.Contains(tt.want, " N") {
			t.Errorf("%s: since when is known: %t", all[n].Container, since)
		}
	}
}

// unlock replaces the record in dir with a copy, which has no lock, as if its
// wrapper had been killed.
func unlock(t *testing.T, dir string) {
	t.Helper()
	path := filepath.Join(dir, "record")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStatusWithoutContainersIsAnEmptyList(t *testing.T) {
	i := invoke(t, "", "koordinator", "status", "-o", "json")
	if err := os.Mkdir(i.peersDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if code := i.main(); code != 0 || i.out.String() != "[]\n" {
		t.Errorf("code %d, printed %q", code, i.out.String())
	}
}
