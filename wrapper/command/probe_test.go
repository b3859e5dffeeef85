package command

import (
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// TestTheKubeletsProbesAreAnswered covers each state of a container, with and without a
// probe that passes or fails.
func TestTheKubeletsProbesAreAnswered(t *testing.T) {
	const passes, fails = `{"exec":{"command":["true"]}}`, `{"exec":{"command":["false"]}}`
	waits := &record.State{Phase: "waiting", For: []string{"db to be ready", "cache to exit"}}
	runs := &record.State{Phase: "running", Started: true}
	ready := &record.State{Phase: "running", Started: true, Ready: true}
	stops := &record.State{Phase: "stopping", Started: true, Stopping: true, Ending: true}
	holds := &record.State{Phase: "holding", Started: true, Stopping: true}
	exited := &record.State{Phase: "exited", Started: true, Exit: &record.Exit{Code: 0, ForGood: true}}
	for name, tt := range map[string]struct {
		kind  string
		text  string
		state *record.State // nil: no record
		want  string        // printed; "": the probe passes
	}{
		"the wrapper has not begun, liveness":     {"liveness", `{"liveness":` + fails + `}`, nil, ""},
		"the wrapper has not begun, readiness":    {"readiness", `{"readiness":` + passes + `}`, nil, "waiting for"},
		"it waits, liveness":                      {"liveness", `{"liveness":` + fails + `}`, waits, ""},
		"it waits, readiness":                     {"readiness", `{"readiness":` + passes + `}`, waits, "waiting for db to be ready, cache to exit"},
		"it waits and has no probe, readiness":    {"readiness", `{}`, waits, "waiting for db to be ready, cache to exit"},
		"it runs, and is alive":                   {"liveness", `{"liveness":` + passes + `}`, runs, ""},
		"it runs, and is not alive":               {"liveness", `{"liveness":` + fails + `,"readiness":` + passes + `}`, runs, `"false": exit code 1`},
		"it runs, and is ready":                   {"readiness", `{"readiness":` + passes + `,"liveness":` + fails + `}`, runs, ""},
		"it runs, and is not ready":               {"readiness", `{"readiness":` + fails + `}`, runs, `"false": exit code 1`},
		"it runs and has no probe, liveness":      {"liveness", `{}`, runs, ""},
		"it runs and has no probe, readiness":     {"readiness", `{}`, runs, ""},
		"its wrapper stops it, liveness":          {"liveness", `{"liveness":` + fails + `}`, stops, ""},
		"its wrapper stops it, readiness":         {"readiness", `{"readiness":` + fails + `}`, stops, `"false": exit code 1`},
		"it holds its stop request, liveness":     {"liveness", `{"liveness":` + fails + `}`, holds, `"false": exit code 1`},
		"it has exited, liveness":                 {"liveness", `{"liveness":` + fails + `}`, exited, ""},
		"it has to report that it is ready":       {"readiness", `{"readyWhen":"notify","readiness":` + passes + `}`, runs, spec.NoNotice},
		"it has reported that it is ready":        {"readiness", `{"readyWhen":"notify","readiness":` + passes + `}`, ready, ""},
		"it has reported it, but its probe fails": {"readiness", `{"readyWhen":"notify","readiness":` + fails + `}`, ready, `"false": exit code 1`},
		"liveness does not require a report":      {"liveness", `{"readyWhen":"notify","liveness":` + passes + `}`, runs, ""},
		"it waits, and has to report later":       {"readiness", `{"readyWhen":"notify"}`, waits, "waiting for db to be ready, cache to exit"},
		"the spec is wrong":                       {"liveness", `{"liveness":{}}`, runs, "KOORDINATOR_SPEC: liveness: it has no kind, or several"},
	} {
		t.Run(name, func(t *testing.T) {
			i := invoke(t, tt.text, "koordinator", "probe", tt.kind)
			if tt.state != nil {
				i.recorded(t, *tt.state)
			}
			code, have := i.main(), strings.TrimSpace(i.out.String())
			if (code == 0) != (tt.want == "") || code > 1 || !strings.HasPrefix(have, tt.want) || (have == "") != (tt.want == "") {
				t.Errorf("code %d, printed %q, want %q", code, have, tt.want)
			}
			if i.err.Len() > 0 {
				t.Errorf("the kubelet does not show %q", i.err.String())
			}
		})
	}
}

// TestProbesRunIfTheRecordIsBroken expects that the container's own probes run.
func TestProbesRunIfTheRecordIsBroken(t *testing.T) {
	for kind, want := range map[string]int{"liveness": 1, "readiness": 1} {
		i := invoke(t, `{"liveness":{"exec":{"command":["false"]}},"readiness":{"exec":{"command":["false"]}}}`, "koordinator", "probe", kind)
		i.recordDir = programFile(t, "no directory")
		if code := i.main(); code != want {
			t.Errorf("%s: code %d, want %d", kind, code, want)
		}
	}
}
