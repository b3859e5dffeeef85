package spec

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// specs parses lines such as "a: start b=exited, c; stop d" into specs.
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
		{name: "an unknown container", specs: []string{"b: start c=exited"}},
		{name: "by the shortest path", specs: []string{"a: start b, c", "b: start d", "c: start x=exited", "d: start x=exited"}, want: []string{"x=exited via a → c → x"}},
		{name: "each condition of one container", specs: []string{"a: start b, c", "b: start x=exited", "c: start x=succeeded"}, want: []string{"x=exited via a → b → x", "x=succeeded via a → c → x"}},
		{name: "dependencies of the exited container", specs: []string{"a: start b=exited", "b: start c=succeeded"}, want: []string{"b=exited via a → b", "c=succeeded via a → b → c"}},
		{name: "those of a container that was seen before", specs: []string{"a: start b, c=exited", "b: start c", "c: start d=exited"}, want: []string{"c=exited via a → c", "d=exited via a → c → d"}},
		{name: "a container itself, around a cycle", specs: []string{"a: start b", "b: start a=exited"}, want: []string{"a=exited via a → b → a"}},
		{name: "not through an optional one", specs: []string{"a: start b, c?", "b: start d=started", "c: start e=exited"}},
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

func TestStartGraph(t *testing.T) {
	for _, tt := range []struct {
		name  string
		specs []string
		want  Graph
	}{
		{"no containers", nil, Graph{}},
		{"no dependencies", []string{"a: ", "b: "}, Graph{}},
		{"neighbors keep their order", []string{"a: start c, b"}, Graph{"a": {"c", "b"}}},
		{"every condition is an edge", []string{"a: start b=started, c=ready, d=exited, e=succeeded?"}, Graph{"a": {"b", "c", "d", "e"}}},
		{"stop dependencies are none", []string{"a: stop b", "b: start c"}, Graph{"b": {"c"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, StartGraph(specs(t, tt.specs...))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestHoldGraph(t *testing.T) {
	for _, tt := range []struct {
		name  string
		specs []string
		want  Graph
	}{
		{"no containers", nil, Graph{}},
		{"a stop dependency exits first", []string{"a: stop b"}, Graph{"a": {"b"}}},
		{"with each condition", []string{"a: stop b=failed, c=succeeded"}, Graph{"a": {"b", "c"}}},
		{"a container that started after it exits first", []string{"a: start b=started"}, Graph{"b": {"a"}}},
		{"likewise if it waited for ready", []string{"a: start b=ready"}, Graph{"b": {"a"}}},
		{"likewise if it is optional", []string{"a: start b?"}, Graph{"b": {"a"}}},
		{"a container that exited before does not hold", []string{"a: start b=exited, c=succeeded"}, Graph{}},
		{"all that hold are sorted", []string{"c: start p", "a: start p=started", "b: start p", "p: stop d"}, Graph{"p": {"a", "b", "c", "d"}}},
		{"both reasons are one edge", []string{"main: start proxy", "proxy: stop main"}, Graph{"proxy": {"main"}}},
		{"a stop is stronger than a start", []string{"a: start b; stop b"}, Graph{"a": {"b"}}},
		{"mutual stops are no edges", []string{"a: stop b", "b: stop a"}, Graph{}},
		{"mutual stops and a start are no edges", []string{"a: start b; stop b", "b: stop a"}, Graph{}},
		{"mutual stops leave others alone", []string{"a: stop b, c", "b: stop a"}, Graph{"a": {"c"}}},
		{"mutual starts hold both ways", []string{"a: start b", "b: start a"}, Graph{"a": {"b"}, "b": {"a"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, HoldGraph(specs(t, tt.specs...))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestCyclesOfAGraph(t *testing.T) {
	for _, tt := range []struct {
		name  string
		graph Graph
		want  []string
	}{
		{"no graph", nil, nil},
		{"an edge to itself", Graph{"a": {"a"}}, []string{"a → a"}},
		{"the shorter of two", Graph{"a": {"b", "c"}, "b": {"d"}, "d": {"a"}, "c": {"a"}}, []string{"a → c → a"}},
		{"two that share a container are one", Graph{"a": {"b"}, "b": {"a", "c"}, "c": {"b"}}, []string{"a → b → a"}},
		{"two that share none, by name", Graph{"y": {"z"}, "z": {"y"}, "b": {"a"}, "a": {"b"}}, []string{"a → b → a", "y → z → y"}},
		{"a way out of it and one into it", Graph{"a": {"b"}, "b": {"c"}, "c": {"b", "d"}}, []string{"b → c → b"}},
		{"an edge twice", Graph{"a": {"b", "b"}, "b": {"a"}}, []string{"a → b → a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := maps.Clone(tt.graph)
			if diff := cmp.Diff(tt.want, paths(tt.graph.Cycles())); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(before, tt.graph); diff != "" {
				t.Errorf("the graph has changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestCyclesOfRandomGraphs compares the result with the repeated removal of
// containers that need no other: the graph has a cycle if containers remain.
func TestCyclesOfRandomGraphs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	names := strings.Fields("a b c d e f")
	both := map[bool]int{}
	for range 2000 {
		g := Graph{}
		for range r.IntN(9) {
			from := names[r.IntN(len(names))]
			g[from] = append(g[from], names[r.IntN(len(names))])
		}
		rest := maps.Clone(g)
		for again := true; again; {
			again = false
			for name, next := range rest {
				if !slices.ContainsFunc(next, func(n string) bool { return rest[n] != nil }) {
					delete(rest, name)
					again = true
				}
			}
		}
		cycles := g.Cycles()
		both[len(cycles) > 0]++
		if (len(cycles) > 0) != (len(rest) > 0) {
			t.Fatalf("%v: cycles %q, and %v remain", g, cycles, rest)
		}
		in := map[string]bool{}
		for _, cycle := range cycles {
			if cycle[0] != cycle[len(cycle)-1] {
				t.Fatalf("%v: %q does not end where it began", g, cycle)
			}
			for i, name := range cycle[1:] {
				if !slices.Contains(g[cycle[i]], name) || in[name] {
					t.Fatalf("%v: %q is no path, or shares %s with another", g, cycle, name)
				}
				in[name] = true
			}
		}
	}
	if both[true] < 200 || both[false] < 200 {
		t.Errorf("graphs with and without cycles: %v", both)
	}
}

func TestAnExitMeetsWhatItsConditionImplies(t *testing.T) {
	all := []Condition{Started, Ready, Exited, Succeeded, Failed}
	implied := map[[2]Condition]bool{{Succeeded, Exited}: true, {Failed, Exited}: true}
	for _, c := range all {
		for _, other := range all {
			if have, want := c.Implies(other), c == other || implied[[2]Condition{c, other}]; have != want {
				t.Errorf("%s implies %s: %t, want %t", c, other, have, want)
			}
		}
	}
}
