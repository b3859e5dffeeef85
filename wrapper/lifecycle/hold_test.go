package lifecycle

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// holding is a spec with which the container holds for a, for 22.5 s of a grace
// period of 30 s.
const (
	holding = `{"holdFor":["a"],"gracePeriod":"30s"}`
	most225 = 22500 * time.Millisecond
)

// held returns the actions after a stop request while these containers run.
func held(budget time.Duration, names ...string) []Action {
	return []Action{Hold{names, budget}, SetTimer{HoldBudget, budget}, SetTimer{HoldMomentTimer, HoldMoment}}
}

func TestHold(t *testing.T) {
	noted := on(Noted{}, SetTimer{NoteTimer, 30*time.Second + lateRequest})
	tell(t, []story{
		{"kept back until the dependent has exited, which is being stopped", holding, ending(running(
			on(a(ready)), on(Signal{term}, held(most225, "a")...), on(a(stopping)), on(Fired{HoldMomentTimer}),
			on(a(failed), podStop(term, term)), on(Fired{HoldBudget}),
		), 0, Exit{})},
		{"the dependent's command has ended, and its wrapper has not: enough", holding, running(
			on(a(stopping)), on(Signal{term}, held(most225, "a")...), on(a(crashed), podStop(term, term)),
		)},
		{"no dependent runs: passed on at once", holding, running(on(a(failed)), on(Signal{term}, podStop(term, term)))},
		{"nothing is known of the dependent: passed on at once", holding, running(on(Signal{term}, podStop(term, term)))},
		{"only this container is stopped: a moment, no more", holding, running(
			on(a(ready)), on(Signal{term}, held(most225, "a")...), on(Fired{HoldMomentTimer}, podStop(term, term)),
		)},
		{"a dependent that was asked before we were confirms that the pod is stopped", holding, running(
			on(a(stopping)), on(Signal{term}, held(most225, "a")...), on(Fired{HoldMomentTimer}),
		)},
		{"own-04 a second TERM while dependents run is kept back, too", holding, running(
			on(a(ready)), on(Signal{term}, held(most225, "a")...), on(Signal{term}), on(Fired{HoldBudget}, podStop(term, term)),
		)},
		{"own-04 INT, QUIT and USR1 while dependents run: at once", `{"holdFor":["a"],"gracePeriod":"30s","requestSignal":"TERM"}`, running(
			on(a(stopping)), on(Signal{term}, held(most225, "a")...), on(Signal{syscall.SIGINT}, Forward{syscall.SIGINT}),
			on(Signal{quit}, Forward{quit}), on(Signal{syscall.SIGUSR1}, Forward{syscall.SIGUSR1}),
		)},
		{"own-04 the hold is bounded by the grace period minus the own end", `{"holdFor":["a"],"gracePeriod":"60s","stopTimeout":"5s","stopDelay":"10s"}`, running(
			on(a(stopping)), on(Signal{term}, held(45*time.Second, "a")...),
			on(Fired{HoldBudget}, Delay{10 * time.Second, "the grace period leaves no more time to hold"}, SetTimer{StopDelay, 10 * time.Second}),
			on(Fired{StopDelay}, podStop(term, term)),
		)},
		{"own-05 a dependent that ignores its signal: asked in time to end within the grace period", holding, ending(running(
			on(a(stopping)), on(Signal{term}, held(most225, "a")...), on(Fired{HoldMomentTimer}), on(Fired{HoldBudget}, podStop(term, term)),
		), 3, Exit{Code: 3, Message: spec.HeldTooLong})},
		{"kube-term-03 a grace period of 2s: nobody waits longer than it", `{"holdFor":["a"],"gracePeriod":"2s"}`, running(
			on(a(stopping)), on(Signal{term}, podStop(term, term)),
		)},
		{"the grace period is not known: nothing is held", `{"holdFor":["a"]}`, running(on(a(stopping)), on(Signal{term}, podStop(term, term)))},
		{"stopDelay follows the hold, and says why", `{"holdFor":["a"],"gracePeriod":"30s","stopDelay":"1s"}`, running(
			on(a(stopping)), on(Signal{term}, held(most225-time.Second, "a")...),
			on(a(failed), Delay{time.Second, "the dependents have exited"}, SetTimer{StopDelay, time.Second}), on(Fired{StopDelay}, podStop(term, term)),
		)},
		{"stopDelay is for the end of the pod, not of this container", `{"holdFor":["a"],"gracePeriod":"30s","stopDelay":"1s"}`, running(
			on(a(ready)), on(Signal{term}, held(most225-time.Second, "a")...), on(Fired{HoldMomentTimer}, podStop(term, term)),
		)},
		{"the hook has used a part of the grace period", holding, running(
			noted, on(a(stopping)), on(Spent{15 * time.Second}), on(Signal{term}, held(7500*time.Millisecond, "a")...),
		)},
		{"and nearly all of it", holding, running(noted, on(a(stopping)), on(Spent{29 * time.Second}), on(Signal{term}, podStop(term, term)))},
		{"and a part of stopDelay", `{"gracePeriod":"30s","stopDelay":"10s"}`, running(
			noted, on(Spent{15 * time.Second}), on(Signal{term}, Delay{For: 7500 * time.Millisecond}, SetTimer{StopDelay, 7500 * time.Millisecond}),
		)},
		{"and all of stopDelay", `{"gracePeriod":"30s","stopDelay":"10s"}`, running(noted, on(Spent{29 * time.Second}), on(Signal{term}, podStop(term, term)))},
		{"and a part of a probe's own grace period", `{"holdFor":["a"],"gracePeriod":"30s","probeGrace":"3s"}`, running(
			noted, on(a(ready)), on(Spent{2 * time.Second}),
			on(Signal{term}, Hold{[]string{"a"}, most225 - 2*time.Second}, SetTimer{HoldBudget, most225 - 2*time.Second}, SetTimer{HoldMomentTimer, time.Second / 2}),
		)},
		{"a hook that was run by hand long before has used nothing", holding, running(
			noted, on(Fired{NoteTimer}), on(a(stopping)), on(Spent{time.Hour}), on(Signal{term}, held(most225, "a")...),
		)},
		{"the exit of a dependent can no longer be seen: a moment more", holding, running(
			on(a(stopping)), on(Signal{term}, held(most225, "a")...), on(a(unseenStopping), SetTimer{UnseenTimer, UnseenMoment}),
			on(a(unseenStopping)), on(Fired{UnseenTimer}, podStop(term, term)),
		)},
		{"A6 a stop dependency does not end the hold", `{"holdFor":["a"],"stopDeps":["b"],"gracePeriod":"30s"}`, ending(running(
			on(Facts{"a": ready, "b": up}), on(Signal{term}, held(most225, "a")...), on(Facts{"a": stopping, "b": failed}),
			on(Fired{HoldMomentTimer}), on(Facts{"a": failed, "b": failed}, podStop(term, term), overdue),
		), 143, Exit{Code: 143})},
		{"A6 nor does one that holds before the pod's request comes", `{"holdFor":["a"],"stopDeps":["b"],"gracePeriod":"30s"}`, ending(running(
			on(Facts{"a": stopping, "b": endedAsked}, SetTimer{DoubtTimer, DoubtMoment}), on(Signal{term}, held(most225, "a")...),
			on(Fired{DoubtTimer}), on(Facts{"a": failed, "b": endedAsked}, podStop(term, term), overdue),
		), 143, Exit{Code: 143})},
		{"A6 a container that was stopped alone stops the other, after a moment", `{"holdFor":["a"],"stopDeps":["b"],"gracePeriod":"30s"}`, ending(running(
			on(Facts{"a": up, "b": endedAsked}, SetTimer{DoubtTimer, DoubtMoment}), on(Fired{DoubtTimer}, askedBy("b exited with code 0")...),
		), 143, stopped(0, "b exited with code 0"))},
		{"A22 of one that only the status reports on no exit can be seen: a moment, no more", `{"holdFor":["a"],"gracePeriod":"30s"}`, running(
			on(a(unseen)), on(Signal{term}, append(held(most225, "a"), SetTimer{UnseenTimer, UnseenMoment})...),
			on(a(unseenStopping)), on(Fired{HoldMomentTimer}), on(Fired{UnseenTimer}, podStop(term, term)),
		)},
		{"A22 and the others are held for as ever", `{"holdFor":["a","b"],"gracePeriod":"30s"}`, running(
			on(Facts{"a": unseen, "b": stopping}), on(Signal{term}, append(held(most225, "a", "b"), SetTimer{UnseenTimer, UnseenMoment})...),
			on(Fired{UnseenTimer}), on(Fired{HoldMomentTimer}), on(Facts{"a": unseenStopping, "b": failed}, podStop(term, term)),
		)},
		{"A26 the signal that the user named is a stop request when it comes", `{"holdFor":["a"],"stopSignal":"USR1","gracePeriod":"30s"}`, running(
			on(a(stopping)), on(Signal{syscall.SIGUSR1}, held(most225, "a")...), on(a(failed), podStop(syscall.SIGUSR1, syscall.SIGUSR1)),
		)},
		{"A26 and so is the one that the pod's status reports, and no guess then", `{"holdFor":["a"],"gracePeriod":"30s"}`, running(
			on(StopSignal{syscall.SIGUSR1}), on(a(stopping)), on(Signal{quit}, Forward{quit}),
			on(Signal{syscall.SIGUSR1}, held(most225, "a")...), on(a(failed), podStop(syscall.SIGUSR1, syscall.SIGUSR1)),
		)},
		{"A14 the shortest grace period of a probe bounds the moment", `{"holdFor":["a"],"gracePeriod":"30s","probeGrace":"1s"}`, running(
			on(a(ready)), on(Signal{term}, Hold{[]string{"a"}, most225}, SetTimer{HoldBudget, most225}, SetTimer{HoldMomentTimer, time.Second / 2}),
			on(Fired{HoldMomentTimer}, podStop(term, term)),
		)},
		{"the command ends by itself meanwhile", holding, append(ending(running(
			on(a(ready)), on(Signal{term}, held(most225, "a")...),
		), 4, Exit{Code: 4}), on(Fired{HoldBudget}), on(Fired{HoldMomentTimer}))},
		{"what may be a request is kept back, and passed on as it is", holding, running(
			on(a(ready)), on(Signal{quit}, held(most225, "a")...), on(Signal{quit}), on(Fired{HoldMomentTimer}, hinted...),
			on(Signal{term}, held(most225, "a")...), on(a(failed), podStop(term, term)),
		)},
		{"what may be a request, and then one: that one", holding, running(
			on(a(stopping)), on(Signal{quit}, held(most225, "a")...), on(Signal{term}, held(most225, "a")...), on(a(failed), podStop(term, term)),
		)},
	})
}

func TestEcsStopRule(t *testing.T) {
	// A (stopped) depends on B; B (running) on C and D; C (stopped) on E and F; D (running) on E.
	facts := Facts{"A": failed, "B": stopping, "C": failed, "D": stopping}
	for _, tt := range []struct {
		name    string
		holdFor []string
		holds   bool
	}{
		{"F may stop, as its dependent C has", []string{"C"}, false},
		{"D may not, as B runs", []string{"B"}, true},
		{"E may not, as D runs, whatever C does", []string{"C", "D"}, true},
		{"Z may, as nobody depends on it", nil, false},
	} {
		t.Run("ecsu-12 "+tt.name, func(t *testing.T) {
			s := parsed(t, `{"gracePeriod":"30s"}`)
			s.HoldFor = tt.holdFor
			m := New(s, false)
			play(t, m, running(on(facts)))
			m.Handle(Signal{term})
			if have := m.State() == Holding; have != tt.holds {
				t.Errorf("state %v, want holding %t", m.State(), tt.holds)
			}
		})
	}
}

// shutdown stops a pod whose containers hold for others, passes the others'
// facts to each machine, and returns the groups of containers that were stopped
// together, in order.
func shutdown(t *testing.T, holdFor map[string][]string) [][]string {
	t.Helper()
	machines, facts := map[string]*Machine{}, Facts{}
	for name, others := range holdFor {
		s := parsed(t, `{"gracePeriod":"30s"}`)
		s.HoldFor = others
		machines[name] = New(s, false)
		play(t, machines[name], running())
		facts[name] = ready
	}
	ask := func(e Event) (stopped []string) {
		for name, m := range machines {
			for _, act := range m.Handle(e) {
				if _, is := act.(Stop); is {
					stopped = append(stopped, name)
				}
			}
		}
		slices.Sort(stopped)
		return stopped
	}
	ask(facts)
	var order [][]string
	for stopped := ask(Signal{term}); len(stopped) > 0; stopped = ask(facts) {
		order = append(order, stopped)
		facts = Facts{}
		for name, m := range machines {
			if slices.Contains(stopped, name) {
				play(t, m, ending(nil, 0, Exit{}))
			}
			facts[name] = Fact{Started: true, Runs: m.State() != Done, Stopping: true, Exited: m.State() == Done}
		}
	}
	return order
}

func TestShutdownOrder(t *testing.T) {
	for _, tt := range []struct {
		name    string
		holdFor map[string][]string
		want    string
	}{
		{
			"ecsi-08 parent, A, B and C, each after the one before has ended",
			map[string][]string{"parent": nil, "A": {"parent"}, "B": {"A"}, "C": {"B"}},
			"parent; A; B; C",
		},
		{"pc-17 B, then C and D together, then A", map[string][]string{"A": {"C", "D"}, "B": nil, "C": {"B"}, "D": {"B"}}, "B; C D; A"},
		{"sysd-08 the inverse of the order in which they start", map[string][]string{"first": {"second"}, "second": {"third"}, "third": nil}, "third; second; first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var steps []string
			for _, names := range shutdown(t, tt.holdFor) {
				steps = append(steps, strings.Join(names, " "))
			}
			if diff := cmp.Diff(tt.want, strings.Join(steps, "; ")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}
