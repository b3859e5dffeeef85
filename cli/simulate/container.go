package simulate

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/cli/history"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/spec"
)

// container is a simulated container.
type container struct {
	order.Container

	world    *world
	machine  *lifecycle.Machine // of the current incarnation; nil if the container is not wrapped or its command runs in exec mode
	run      int                // number of the current incarnation
	created  bool
	alive    bool
	gone     bool // it has permanently exited
	runs     bool // its command runs
	ready    bool
	once     bool // its command was started in some incarnation
	asked    bool // the kubelet has sent a stop request
	tooOften bool // the limit of restarts is reached
	code     int
	ends     int  // number of exits of its command
	stopped  bool // its wrapper stopped it, or did not start its command
	wasAsked bool // it had a stop request when it ended
	reason   string
	waited   []string
	seen     map[string]lifecycle.Fact // last observed facts about containers that are not wrapped
	timers   map[lifecycle.Timer]int
	calls    int // number of command starts and ends; identifies and ignores late events of an earlier command
}

// note adds an event about the container to the history.
func (c *container) note(e history.Event) {
	e.Container, e.Run = c.Name, c.run
	c.world.note(e)
}

// create begins an incarnation.
func (c *container) create() {
	c.created, c.alive, c.runs, c.ready = true, true, false, false
	c.timers, c.seen, c.waited = map[lifecycle.Timer]int{}, map[string]lifecycle.Fact{}, nil
	c.stopped, c.reason = false, ""
	c.note(history.Event{Kind: history.Created, Text: "container created"})
	if !c.Wrapped {
		c.start()
		return
	}
	c.machine = lifecycle.New(c.Spec, false)
	c.handle(lifecycle.Begin{Facts: c.facts()})
}

// handle passes an event to the state machine and performs its actions.
func (c *container) handle(e lifecycle.Event) {
	if c.machine == nil {
		return
	}
	for _, a := range c.machine.Handle(e) {
		c.perform(a)
	}
}

// hear passes the state of the other containers to the wrapper.
func (c *container) hear() {
	if c.alive && c.machine != nil {
		c.handle(c.facts())
	}
}

// facts returns the facts that the container has about the others: immediately for wrapped
// containers, and with the delay of the pod's status for all others.
func (c *container) facts() lifecycle.Facts {
	f := lifecycle.Facts{}
	for _, e := range c.Spec.StartEndpoints {
		f[e.URL] = lifecycle.Fact{Ready: c.world.answers(e.URL)}
	}
	for _, o := range c.world.all {
		if o == c {
			continue
		}
		now := o.fact()
		if o.Wrapped && slices.Contains(c.Spec.Wrapped, o.Name) && c.Spec.Source != spec.SourcePod {
			f[o.Name] = now
			continue
		}
		now.Unseen = true
		if known := c.seen[o.Name]; known != now {
			run := c.run
			c.world.after(Sight, func() {
				if c.run == run && c.alive && !c.world.deleting {
					c.seen[o.Name] = now
					c.handle(c.facts())
				}
			})
		}
		f[o.Name] = c.seen[o.Name]
		if url, asked := c.Spec.ReadyEndpoints[o.Name]; asked && o.runs && o.ready && c.world.answers(url) {
			known := f[o.Name]
			known.Started, known.Ready = true, true
			f[o.Name] = known
		}
	}
	return f
}

// fact returns the container's state as other containers see it.
func (c *container) fact() lifecycle.Fact {
	counter := lifecycle.ByStatus
	if c.Wrapped {
		counter = lifecycle.ByRecord
	}
	f := lifecycle.Fact{Ends: lifecycle.Ends{Counter: counter, Number: c.ends}, Started: c.once, Ready: c.ready && c.runs, Runs: c.runs, Exited: c.gone, Code: c.code, Stopped: c.stopped, Reason: c.reason}
	if !c.gone {
		f.Code, f.Stopped, f.Reason = 0, false, ""
	}
	switch {
	case c.gone:
		f.Stopping, f.Left = c.wasAsked, true
	case c.alive && c.machine != nil && c.machine.State() == lifecycle.Leaving: // its wrapper has published the exit
		report := c.machine.Report()
		f.Stopping, f.Exited = report.Stopping, c.Spec.Restart.ForGood(report.Exit.Code)
		f.Code, f.Stopped, f.Reason = report.Exit.Code, report.Exit.Stopped, report.Exit.Message
	case c.alive && c.machine != nil:
		f.Stopping = c.machine.Report().Stopping
	default:
		f.Stopping = c.asked && c.alive
	}
	return f
}

// start starts the command.
func (c *container) start() {
	c.runs, c.once = true, true
	c.calls++
	call := c.calls
	c.note(history.Event{Kind: history.Started, For: c.waited})
	during := func(d time.Duration, do func()) {
		c.world.after(d, func() {
			if c.calls == call && c.runs {
				do()
			}
		})
	}
	switch ready := c.readyAfter(); {
	case ready == 0:
		c.becomeReady()
	case ready != Never:
		during(ready, c.becomeReady)
	}
	if end, ends := c.endsAfter(); ends {
		during(end.At, func() { c.exit(end.Code) })
	}
}

func (c *container) becomeReady() {
	c.ready = true
	c.note(history.Event{Kind: history.Ready})
}

// readyAfter returns the time from the start to readiness.
func (c *container) readyAfter() time.Duration {
	if d, given := c.world.script.Ready[c.Name]; given {
		return d
	}
	if c.Probed {
		return ReadyTime
	}
	return 0
}

// endsAfter returns when the command ends without being stopped. ends is false if it does not.
func (c *container) endsAfter() (end End, ends bool) {
	if end, given := c.world.script.Runs[c.Name]; given {
		return end, end.At != Never
	}
	if end, given := c.world.script.Ends[c.Name]; given && c.world.now < end.At {
		return End{}, false
	}
	switch {
	case c.Role == order.Init:
		return End{At: InitTime}, true
	case c.Role == order.Sidecar, c.Spec.Restart.Policy == spec.RestartAlways, len(c.Spec.StopDeps) > 0:
		return End{}, false
	default:
		return End{At: WorkTime}, true
	}
}

// exit handles the exit of the command.
func (c *container) exit(code int) {
	if !c.runs {
		return
	}
	c.runs, c.ready = false, false
	c.ends++
	c.note(history.Event{Kind: history.Exited, ExitCode: code})
	if c.machine == nil {
		c.end(code, "")
		return
	}
	c.handle(lifecycle.Exited{Code: code})
}

// ask sends the stop request to the command.
func (c *container) ask() {
	took, given := c.world.script.Stops[c.Name]
	if !given {
		took = StopTime
	}
	if took == Never || !c.runs {
		return
	}
	call := c.calls
	c.world.after(took, func() {
		if c.calls == call && c.runs {
			c.exit(0)
		}
	})
}

// end ends the container. The kubelet may restart it.
func (c *container) end(code int, reason string) {
	if c.machine != nil {
		c.wasAsked = c.machine.Report().Stopping
	} else {
		c.wasAsked = c.asked
	}
	if c.runs { // the command was killed
		c.ends++
	}
	c.alive, c.runs, c.ready, c.code, c.reason = false, false, false, code, reason
	c.calls++
	c.note(history.Event{Kind: history.Terminated, ExitCode: code, Reason: strings.TrimPrefix(reason, "koordinator: "), Text: fmt.Sprintf("container terminated with exit code %d", code)})
	w := c.world
	if c.Spec.Restart.ForGood(code) || w.deleting || w.ending {
		c.gone = true
		w.failed = w.failed || c.Role == order.Init && code != 0
		return
	}
	if c.run >= Restarts {
		c.tooOften = true
		return
	}
	w.after(backoff(c.run), func() {
		if !w.deleting && !w.ending {
			c.run++
			c.asked = false
			c.create()
		}
	})
}

// backoff returns the kubelet's delay before a restart: none before the first, then 10 s,
// doubled each time up to 5 minutes.
func backoff(restarts int) time.Duration {
	if restarts == 0 {
		return 0
	}
	return min(10*time.Second<<(restarts-1), 5*time.Minute)
}

// kubeletStop handles the kubelet's stop request.
func (c *container) kubeletStop() {
	if c.asked {
		return
	}
	c.asked = true
	signal := c.Spec.RequestSignal
	if signal == 0 {
		signal = syscall.SIGTERM
	}
	if c.machine == nil {
		c.note(history.Event{Kind: history.Stopping, Signal: spec.SignalName(signal), Reason: "the pod is stopped"})
		c.ask()
		return
	}
	if c.Spec.PreStop != nil {
		c.note(history.Event{Kind: history.Requested, Text: "preStop hook runs"})
		c.handle(lifecycle.Noted{})
	}
	c.handle(lifecycle.Signal{Number: signal})
}

// waits returns the conditions that the container waits for.
func (c *container) waits() []string {
	if c.machine == nil {
		return nil
	}
	return c.machine.Report().For
}
