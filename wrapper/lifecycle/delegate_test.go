package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"koordinator.io/koordinator/wrapper/spec"
)

const delegates = `{"container":"m","restart":{"policy":"Never"},"gracePeriod":"30s","delegated":[{"container":"p","request":"POST http://127.0.0.1:1/quit",`

func TestDelegatedStop(t *testing.T) {
	quitProxy := []spec.Request{{Method: "POST", URL: "http://127.0.0.1:1/quit"}}
	exits := func(code int) step { return on(Exited{code}, SetTimer{SweepTimer, SweepTimeout}, Sweep{term}) }
	looks := on(Swept{}, SetTimer{LookTimer, UnheardMoment}, Look{})
	sends := []Action{SetTimer{LeaveTimer, LeaveLimit + leaveMargin}, SendExit{quitProxy}}
	only, all := delegates+`"stopDeps":["m"]}]}`, delegates+`"stopWhen":"all","stopDeps":["m","n"]}]}`
	first, bad := delegates+`"stopDeps":["m","n"]}]}`, delegates+`"stopDeps":["m=failed"]}]}`
	tell(t, []story{
		{"of the only one it depends on", only, running(exits(0), looks, on(Looked{}, sends...), on(ExitSent{}, Exit{}))},
		{"also with another code", only, running(exits(3), looks, on(Looked{}, sends...), on(ExitSent{}, Exit{Code: 3}))},
		{"the condition is judged", bad, running(exits(0), looks, on(Looked{}, Exit{}))},
		{"and holds", bad, running(exits(3), looks, on(Looked{}, sends...))},
		{"not where the container is restarted", strings.Replace(only, "Never", "OnFailure", 1), running(exits(3), on(Swept{}, Exit{Code: 3}))},
		{"all: another still runs", all, running(exits(0), looks, on(Looked{Facts{"n": up}}, Exit{}))},
		{"all: another has exited", all, running(exits(0), looks, on(Looked{Facts{"n": failed}}, sends...))},
		{"all: nothing of another is known yet", all, running(exits(0), looks,
			on(Looked{Facts{"n": {Unheard: true}}}), on(Facts{"n": succeeded}, sends...), on(Facts{"n": succeeded}), on(ExitSent{}, Exit{}))},
		{"all: nothing comes to be known", all, running(exits(0), looks,
			on(Looked{Facts{"n": {Unheard: true}}}), on(Fired{LookTimer}, Complain{"p is not stopped: the state of n is not known"}, Exit{}))},
		{"any: another still runs", first, running(exits(0), looks, on(Looked{Facts{"n": up}}, sends...))},
		{"any: another has exited, and may be about to send it", first, running(exits(0), looks, on(Looked{Facts{"n": failed}}, sends...))},
		{"any: another has sent it and left", first, running(exits(0), looks, on(Looked{Facts{"n": {Exited: true, Left: true}}}, Exit{}))},
		{"any: another was killed with its wrapper", first, running(exits(0), looks, on(Looked{Facts{"n": killed}}, sends...))},
		{"any: while the pod is being stopped the others keep their proxy", first, running(
			on(Signal{term}, podStop(term, term)), exits(0), on(Swept{}, SetTimer{LookTimer, 7500e6}, Look{}),
			on(Looked{Facts{"n": stopping}}, Exit{}))},
		{"any: only this container is being stopped, for good", first, running(
			on(Signal{term}, podStop(term, term)), exits(0), on(Swept{}, SetTimer{LookTimer, 7500e6}, Look{}),
			on(Looked{Facts{"n": ready}}, SetTimer{LeaveTimer, 7500e6}, SendExit{quitProxy}))},
		{"together with the requests of exitHTTP", strings.Replace(only, `"container":"m"`, `"container":"m","exitHTTP":"GET http://h/"`, 1), running(
			exits(0), looks, on(Looked{}, SetTimer{LeaveTimer, 2*LeaveLimit + leaveMargin}, SendExit{append([]spec.Request{{Method: "GET", URL: "http://h/"}}, quitProxy...)}))},
		{"of a command that never started", strings.Replace(only, `"container":"m"`, `"container":"m","startDeps":["n"]`, 1), []step{
			waitFor("n to be ready"), on(Facts{"n": failed}, looks.want...), on(Looked{}, sends...),
		}},
		{"a stop request while it decides ends it", all, running(exits(0), looks, on(Looked{Facts{"n": {Unheard: true}}}),
			on(Signal{term}, SetTimer{LeaveTimer, 7500e6}), on(Fired{LeaveTimer}, Exit{}), on(Fired{LookTimer}))},
	})
}

// delegate is one of the containers that a delegated stop depends on.
type delegate struct {
	machine   Machine
	looking   bool // its exit is published, and it has not looked yet
	published bool // its exit is in its record
	sending   bool
	left      bool // its wrapper has ended by itself
	killed    bool // together with its wrapper
	restarts  int  // restarts left
}

// delegation is a pod whose containers perform one delegated stop.
type delegation struct {
	spec  spec.Delegation
	c     []delegate
	sent  int
	kills int  // kills left
	lost  bool // the killed wrapper may have been the one to send the request
	trace []string
}

// fact returns what the other containers know about a container.
func (d *delegation) fact(i int) Fact {
	c := &d.c[i]
	switch {
	case c.killed:
		return Fact{Started: true, Exited: true, Code: 137}
	case c.published:
		x := c.machine.exit
		return Fact{Started: true, Exited: c.machine.spec.Restart.ForGood(x.Code), Code: x.Code, Stopped: x.Stopped, Left: c.left}
	default:
		return up
	}
}

// othersRun reports whether another container has not exited yet.
func (d *delegation) othersRun(i int) bool {
	for j := range d.c {
		if j != i && !d.c[j].published && !d.c[j].killed {
			return true
		}
	}
	return false
}

// becomes returns a copy in which container i has changed.
func (d *delegation) becomes(i int, what string, change func(*delegation, *delegate)) *delegation {
	next := *d
	next.c = slices.Clone(d.c)
	next.trace = append(slices.Clip(d.trace), fmt.Sprintf("%s %s", containerName(i), what))
	change(&next, &next.c[i])
	return &next
}

// react performs the actions of container i's machine.
func (d *delegation) react(i int, acts []Action) {
	c := &d.c[i]
	for _, a := range acts {
		switch a := a.(type) {
		case Look:
			c.looking, c.published = true, true
		case SendExit:
			c.sending, d.sent = true, d.sent+len(a.Requests)
		case Exit:
			c.published, c.left = true, true
			if !c.machine.spec.Restart.ForGood(a.Code) {
				d.restart(i)
			}
		}
	}
}

// restart begins the next incarnation if any restarts are left.
func (d *delegation) restart(i int) {
	c := &d.c[i]
	if c.restarts == 0 {
		return
	}
	*c = delegate{machine: *New(*c.machine.spec, false), restarts: c.restarts - 1}
	c.machine.Handle(Begin{})
	c.machine.Handle(Started{})
}

// nexts returns all possible next states.
func (d *delegation) nexts() []*delegation {
	var list []*delegation
	take := func(i int, what string, events ...Event) {
		list = append(list, d.becomes(i, what, func(d *delegation, c *delegate) {
			for _, e := range events {
				d.react(i, c.machine.Handle(e))
			}
		}))
	}
	for i := range d.c {
		c := &d.c[i]
		switch {
		case c.killed, c.left:
			continue
		case c.looking:
			facts := Facts{}
			for j := range d.c {
				if i != j {
					facts[containerName(j)] = d.fact(j)
				}
			}
			list = append(list, d.becomes(i, "looks", func(d *delegation, c *delegate) {
				c.looking = false
				d.react(i, c.machine.Handle(Looked{facts}))
			}))
		case c.sending:
			take(i, "was answered", ExitSent{})
		default:
			take(i, "exits with 0", Exited{0}, Swept{})
			take(i, "exits with 1", Exited{1}, Swept{})
		}
		if d.kills > 0 {
			list = append(list, d.becomes(i, "is killed", func(d *delegation, c *delegate) {
				d.kills--
				d.lost = d.lost || c.published || !d.othersRun(i)
				c.killed = true
			}))
		}
	}
	return list
}

// wrong returns the error in a pod in which nothing more can happen.
func (d *delegation) wrong() error {
	held := 0
	for i, dep := range d.spec.StopDeps {
		if judge(dep, d.fact(i)) == holds {
			held++
		}
	}
	should := held > 0 && (d.spec.StopWhen == spec.StopAny || held == len(d.c))
	switch {
	case d.lost:
	case should && d.sent == 0:
		return fmt.Errorf("nobody has sent the request: %s", strings.Join(d.trace, ", "))
	case !should && d.sent > 0:
		return fmt.Errorf("somebody has sent the request: %s", strings.Join(d.trace, ", "))
	}
	return nil
}

// explore follows every order of events and returns the number of final states.
func (d *delegation) explore() (ends int, err error) {
	nexts := d.nexts()
	if len(nexts) == 0 {
		return 1, d.wrong()
	}
	for _, next := range nexts {
		if d.spec.StopWhen == spec.StopAll && next.sent > d.sent && slices.ContainsFunc(next.c, func(c delegate) bool { return !c.published && !c.killed }) {
			return ends, fmt.Errorf("the request was sent while a command runs: %s", strings.Join(next.trace, ", "))
		}
		n, err := next.explore()
		if ends += n; err != nil {
			return ends, err
		}
	}
	return ends, nil
}

// newDelegation returns a pod of n running containers.
func newDelegation(n int, policy string, when spec.StopWhen, condition spec.Condition, kills int) *delegation {
	d := &delegation{kills: kills, spec: spec.Delegation{Container: "p", StopWhen: when, Request: spec.Request{Method: "POST", URL: "http://p/"}}}
	for i := range n {
		d.spec.StopDeps = append(d.spec.StopDeps, spec.Dependency{Container: containerName(i), Condition: condition})
	}
	for i := range n {
		s := plain(containerName(i), policy)
		s.Delegated = []spec.Delegation{d.spec}
		c := delegate{machine: *New(s, false), restarts: 1}
		c.machine.Handle(Begin{})
		c.machine.Handle(Started{})
		d.c = append(d.c, c)
	}
	return d
}

// TestExploreDelegatedStops follows every order in which containers exit,
// publish their exits, look at each other and are killed. It checks that the
// request has been sent once the condition holds, and not before.
func TestExploreDelegatedStops(t *testing.T) {
	ends := 0
	for _, policy := range []string{spec.RestartNever, spec.RestartOnFailure} {
		for _, when := range []spec.StopWhen{spec.StopAny, spec.StopAll} {
			for _, condition := range []spec.Condition{spec.Exited, spec.Succeeded, spec.Failed} {
				for _, size := range []struct{ containers, kills int }{{1, 1}, {2, 1}, {3, 0}} {
					if size.containers == 3 && policy == spec.RestartOnFailure {
						continue // one more restart for each gives far too many orders
					}
					if policy == spec.RestartOnFailure {
						size.kills = 0 // the kubelet starts it again
					}
					n, err := newDelegation(size.containers, policy, when, condition, size.kills).explore()
					if err != nil {
						t.Errorf("%s %s %s, %d containers: %v", policy, when, condition, size.containers, err)
					}
					ends += n
				}
			}
		}
	}
	t.Logf("%d ends", ends)
}
