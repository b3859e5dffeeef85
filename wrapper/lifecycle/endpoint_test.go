package lifecycle

import "testing"

func TestEndpoints(t *testing.T) {
	const db, web = "tcp://db:5432", "http://web/ready"
	refused := Facts{db: {Trouble: "connection refused"}}
	answered := Facts{db: {Ready: true}}
	tell(t, []story{
		{"starts when it has answered", `{"startDeps":["tcp://db:5432"]}`, []step{
			waitFor(db), on(refused), on(answered, Start{}),
		}},
		{"a new reason alone announces nothing", `{"startDeps":["tcp://db:5432"]}`, []step{
			waitFor(db), on(refused), on(Facts{db: {Trouble: "no answer within 5s"}}),
		}},
		{"waits for containers and endpoints together", `{"startDeps":["a","tcp://db:5432"]}`, []step{
			waitFor("a to be ready", db), on(Facts{"a": ready}, Wait{[]string{db}}), on(Facts{db: {Ready: true}}, Wait{[]string{"a to be ready"}}),
			on(Facts{"a": ready, db: {Ready: true}}, Start{}),
		}},
		{"the start timeout names the last reason", `{"startDeps":["tcp://db:5432"],"startTimeout":"5s"}`, []step{
			on(Begin{}, SetTimer{StartTimeout, 5e9}, Wait{[]string{db}}), on(refused),
			on(Fired{StartTimeout}, never(124, "waited 5s for tcp://db:5432 (connection refused)")),
		}},
		{"an optional one is dropped at the start timeout", `{"startDeps":["tcp://db:5432?"],"startTimeout":"5s"}`, []step{
			on(Begin{}, SetTimer{StartTimeout, 5e9}, Wait{[]string{db}}), on(refused),
			on(Fired{StartTimeout}, Drop{"waited 5s for tcp://db:5432 (connection refused)"}, Start{}),
		}},
		{"a container that can never be ready ends the wait for an endpoint", `{"startDeps":["a","tcp://db:5432"]}`, []step{
			waitFor("a to be ready", db), on(Facts{"a": failed}, never(69, "a will never be ready: it exited with code 3")),
		}},
		{"a stop request ends the wait and names the reason", `{"startDeps":["tcp://db:5432"]}`, []step{
			waitFor(db), on(refused), on(Signal{term}, never(143, "stopped by SIGTERM while waiting for tcp://db:5432 (connection refused)")),
		}},
		{"takes the wrapper's place", `{"startDeps":["tcp://db:5432"],"mode":"exec"}`, []step{
			waitFor(db), on(answered, Start{InPlace: true}),
		}},
	})
}

func TestNoEndpointIsNeededOnceTheWaitIsOver(t *testing.T) {
	for name, last := range map[string]Event{
		"started": Facts{"tcp://db:1": {Ready: true}}, "stopped": Signal{term},
	} {
		m := New(parsed(t, `{"startDeps":["tcp://db:1"]}`), false)
		m.Handle(Begin{})
		if needs := m.Needs(); len(needs) != 1 || needs[0] != "tcp://db:1" {
			t.Errorf("while waiting: %v", needs)
		}
		m.Handle(last)
		if needs := m.Needs(); len(needs) > 0 {
			t.Errorf("%s: still needs %v", name, needs)
		}
	}
}

func TestReportNamesTheReasonOfAnEndpoint(t *testing.T) {
	m := New(parsed(t, `{"startDeps":["tcp://db:1"]}`), false)
	m.Handle(Begin{})
	m.Handle(Facts{"tcp://db:1": {Trouble: "connection refused"}})
	if have := m.Report().For; len(have) != 1 || have[0] != "tcp://db:1 (connection refused)" {
		t.Errorf("have %q", have)
	}
}
