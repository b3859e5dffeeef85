package simulate

import (
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/history"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/spec"
)

// perform performs an action of the state machine. Hooks, files and requests succeed immediately.
func (c *container) perform(a lifecycle.Action) {
	switch a := a.(type) {
	case lifecycle.Wait:
		c.waited = a.For
		c.note(history.Event{Kind: history.Waiting, For: a.For})
	case lifecycle.Drop:
		c.note(history.Event{Kind: history.Dropped, Text: "dependency dropped", Reason: a.Reason})
	case lifecycle.ReadFiles:
		c.handle(lifecycle.FilesRead{})
	case lifecycle.Start:
		c.start()
		if a.InPlace {
			c.machine = nil // the command replaces the wrapper
			return
		}
		c.handle(lifecycle.Started{})
	case lifecycle.SetTimer:
		c.timers[a.Timer]++
		set, run := c.timers[a.Timer], c.run
		c.world.after(a.After, func() {
			if c.alive && c.run == run && c.timers[a.Timer] == set {
				c.handle(lifecycle.Fired{Timer: a.Timer})
			}
		})
	case lifecycle.Hold:
		c.note(history.Event{Kind: history.Held, For: a.For})
	case lifecycle.Delay:
		c.note(history.Event{Kind: history.Delayed, Text: "stop request delayed by " + a.For.String(), Reason: a.Reason})
	case lifecycle.RunHook:
		c.handle(lifecycle.HookDone{Hook: a.Hook})
	case lifecycle.Kill:
		c.note(history.Event{Kind: history.Killing, Text: "killed", Reason: a.Reason})
		c.exit(128 + 9)
	case lifecycle.Sweep:
		c.handle(lifecycle.Swept{})
	case lifecycle.Look:
		c.world.after(0, func() { c.handle(lifecycle.Looked{Facts: c.facts()}) })
	case lifecycle.SendExit:
		c.delegate(a.Requests)
		c.handle(lifecycle.ExitSent{})
	default:
		c.performStop(a)
	}
}

// delegate stops the containers without a wrapper to which the requests apply.
func (c *container) delegate(requests []spec.Request) {
	for _, d := range c.Spec.Delegated {
		o := c.world.find(d.Container)
		if o == nil || !o.runs || !slices.Contains(requests, d.Request) {
			continue
		}
		o.note(history.Event{Kind: history.Stopping, Signal: d.Request.String(), Reason: c.Name + " exited", StoppedBy: []string{c.Name}})
		o.ask()
	}
}

// performStop performs an action of the state machine that stops or ends the container.
func (c *container) performStop(a lifecycle.Action) {
	by := func() []string {
		if text := c.machine.Report().StoppedBy; text != "" {
			return strings.Split(text, ",")
		}
		return nil
	}
	switch a := a.(type) {
	case lifecycle.SendStop:
		c.note(history.Event{Kind: history.Stopping, Signal: c.Spec.StopHTTP.String(), Reason: a.Reason, StoppedBy: by()})
		c.ask()
		c.handle(lifecycle.StopSent{})
	case lifecycle.Stop:
		c.note(history.Event{Kind: history.Stopping, Signal: spec.SignalName(a.Signal), Reason: a.Reason, StoppedBy: by()})
		c.ask()
	case lifecycle.Exit:
		c.stopped = a.Stopped
		if a.Message != "" {
			c.note(history.Event{Kind: history.Ended, ExitCode: a.Code, Reason: sentence(a.Message), Text: "ended by koordinator"})
		}
		c.end(a.Code, a.Message)
		c.machine = nil
	}
}

// sentence returns a termination message without its prefix.
func sentence(message string) string {
	for _, prefix := range []string{spec.NotStarted, spec.StoppedBy, spec.KilledBy} {
		message = strings.TrimPrefix(message, prefix)
	}
	return message
}
