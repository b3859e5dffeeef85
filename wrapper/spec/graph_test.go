package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// specs reads "a: start b=exited, c; stop d" lines into specs.
func specs(t *testing.T, lines ...string) map[string]Spec {
	t.Helper()
	all := map[string]Spec{}
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, ": ")
		s := Default()
		for part := range strings.SplitSeq(rest, "; ") {
			var err error
			if text, ok := strings.CutPrefix(part, "start "); ok {
				s.StartDeps, err = parseDepList(text, startDep)
			} else if text, ok := strings.CutPrefix(part, "stop "); ok {
				s.StopDeps, err = parseDepList(text, stopDep)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		all[name] = s
	}
	return all
}

func paths(all [][]string) []string {
	var texts []string
	for _, path := range all {
		texts = append(texts, strings.Join(path, " → "))
	}
	return texts
}

func TestCycles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		specs []string
		start []string
		hold  []string
	}{
		{name: "ecsu-01 pc-28 nothing"},
		{name: "ecsu-01 pc-01 a chain has none", specs: []string{"a: start b", "b: start c"}},
		{name: "ecsu-01 pc-28 several roots, and one that stands alone", specs: []string{"a: start b=started", "c: start b, d", "e: "}},
		{name: "ecsu-01 pc-28 a diamond has none", specs: []string{"a: start b, c", "b: start d", "c: start d"}},
		{
			name: "ecsu-02 pc-01 comp-13 two that wait for each other", specs: []string{"b: start a=exited", "a: start b=exited"},
			start: []string{"a → b → a"},
		},
		{
			name: "a cycle is found from outside it", specs: []string{"a: start b", "b: start c", "c: start b=exited"},
			start: []string{"b → c → b"},
		},
		{
			name:  "two cycles are both found",
			specs: []string{"a: start b=exited", "b: start a=exited", "c: start d=exited", "d: start e=exited", "e: start c=exited"},
			start: []string{"a → b → a", "c → d → e → c"},
		},
		{
			name: "the proxy that stops after what starts after it", specs: []string{"main: start proxy", "proxy: stop main"},
		},
		{name: "mutual stops cancel", specs: []string{"a: stop b", "b: stop a"}},
		{
			name: "B4 mutual stops cancel, whatever else is between the two", specs: []string{"c: start b=started; stop b, a", "b: stop c", "a: stop b"},
		},
		{name: "a stop overrides a start", specs: []string{"a: start b; stop b"}},
		{
			name: "three that stop in a ring", specs: []string{"a: stop b", "b: stop c", "c: stop a"},
			hold: []string{"a → b → c → a"},
		},
		{
			name: "the proxy holds for what holds for it", specs: []string{"main: start proxy; stop logs", "logs: stop proxy"},
			hold: []string{"logs → proxy → main → logs"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			all := specs(t, tt.specs...)
			if diff := cmp.Diff(tt.start, paths(StartGraph(all).Cycles())); diff != "" {
				t.Errorf("start (-want +have):\n%s", diff)
			}
			if len(tt.start) > 0 {
				return
			}
			if diff := cmp.Diff(tt.hold, paths(HoldGraph(all).Cycles())); diff != "" {
				t.Errorf("hold (-want +have):\n%s", diff)
			}
		})
	}
}

func TestExitsBefore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		specs []string
		want  []string
	}{
		{name: "none", specs: []string{"a: start b"}},
		{name: "its own", specs: []string{"a: start b=exited, c=succeeded, d"}, want: []string{"b=exited via a → b", "c=succeeded via a → c"}},
		{name: "through another", specs: []string{"a: start b", "b: start c=exited"}, want: []string{"c=exited via a → b → c"}},
		{name: "optional ones imply nothing", specs: []string{"a: start b?, c=exited?", "b: start d=exited"}},
		{name: "a cycle ends", specs: []string{"a: start b=exited", "b: start a"}, want: []string{"b=exited via a → b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []string
			for _, e := range ExitsBefore(specs(t, tt.specs...), "a") {
				have = append(have, e.String()+" via "+strings.Join(e.Path, " → "))
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}
