package timeline

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/history"
)

// moments holds the points of a pod's history that can cause each other, in order.
type moments []*Moment

// momentsOf returns the moments of a history that begins at a time.
func momentsOf(h history.History, runs map[string][]run, begin time.Time) moments {
	all := moments{{Kind: history.PodCreated, At: begin}}
	for _, e := range h.Events {
		if e.Kind == history.PodDeleted {
			all = append(all, &Moment{Kind: e.Kind, At: e.At})
		}
	}
	for _, c := range h.Containers {
		for _, r := range runs[c.Name] {
			all = append(all, r.moments()...)
		}
	}
	slices.SortStableFunc(all, func(a, b *Moment) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return all
}

// moments returns the moments of one incarnation.
func (r run) moments() moments {
	var all moments
	add := func(kind history.Kind, e history.Event, ok bool) {
		if ok {
			all = append(all, &Moment{Container: e.Container, Kind: kind, Run: e.Run, At: e.At, Why: e.Reason, event: e})
		}
	}
	add(history.Created, r[0], true)
	e, ok := r.first(history.Started)
	if !ok && !r.wrapped() {
		e, ok = r[0], true // an unwrapped container starts its command when it is created
	}
	add(history.Started, e, ok)
	ready, isReady := r.first(history.Ready)
	add(history.Ready, ready, isReady)
	held, holds := r.first(history.Held)
	add(history.Held, held, holds)
	stop, stops := r.first(history.Requested, history.Delayed, history.Stopping, history.Killing)
	if asked, found := r.last(history.Stopping); found {
		stop.StoppedBy, stop.Reason = asked.StoppedBy, asked.Reason
	}
	add(history.Stopping, stop, stops)
	end, ended := r.last(history.Terminated)
	if !ended {
		end, ended = r.last(history.Exited, history.Ended)
	}
	if said, found := r.last(history.Ended); found {
		end.Reason = said.Reason
	}
	add(history.Exited, end, ended)
	return all
}

// connect finds the cause of each moment.
func (all moments) connect(h history.History) {
	for _, m := range all {
		switch m.Kind {
		case history.Created:
			m.cause = all.before(m, h)
		case history.Started:
			m.cause = later(all.own(m, history.Created), all.awaited(m))
		case history.Ready:
			m.cause = all.own(m, history.Started)
		case history.Held, history.Stopping:
			m.cause = all.stopper(m)
		case history.Exited:
			m.cause = all.endedBy(m)
		default: // other kinds have no cause that is shown
		}
	}
}

// own returns the moment with a kind in the same incarnation, nil if there is none.
func (all moments) own(m *Moment, kind history.Kind) *Moment {
	for _, o := range all {
		if o.Container == m.Container && o.Run == m.Run && o.Kind == kind {
			return o
		}
	}
	return nil
}

// latest returns the last moment of a container that has one of these kinds and is not after a time.
func (all moments) latest(container string, at time.Time, kinds ...history.Kind) *Moment {
	for _, o := range slices.Backward(all) {
		if o.Container == container && slices.Contains(kinds, o.Kind) && !o.At.After(at) {
			return o
		}
	}
	return nil
}

// before returns the cause of a container's creation: the exit of its previous incarnation,
// the end of the preceding init container, the start of the preceding native sidecar, or
// the creation of the pod.
func (all moments) before(m *Moment, h history.History) *Moment {
	if m.Run > 0 {
		if exit := all.latest(m.Container, m.At, history.Exited); exit != nil {
			return exit
		}
	}
	var found *Moment
	for _, c := range h.Containers {
		if c.Name == m.Container {
			break
		}
		switch c.Role {
		case "init container":
			found = later(found, all.latest(c.Name, m.At, history.Exited))
		case "native sidecar":
			found = later(found, all.latest(c.Name, m.At, history.Created, history.Started, history.Ready))
		}
	}
	if found == nil {
		found = all.latest("", m.At, history.PodCreated)
	}
	return found
}

// later returns the later one of two moments, either of which may be nil.
func later(a, b *Moment) *Moment {
	if a == nil || b != nil && b.At.After(a.At) {
		return b
	}
	return a
}

// phrase matches an awaited condition in the wrapper's notation.
var phrase = regexp.MustCompile(`^(\S+) to (be started|be ready|succeed|exit)$`)

// awaited returns the moment at which the last condition that a command waited for was met.
func (all moments) awaited(m *Moment) *Moment {
	var found *Moment
	for _, text := range m.event.For {
		p := phrase.FindStringSubmatch(text)
		if p == nil {
			continue
		}
		kind := history.Exited
		switch p[2] {
		case "be ready":
			kind = history.Ready
		case "be started":
			kind = history.Started
		}
		met := all.latest(p[1], m.At, kind)
		if met == nil && kind == history.Ready {
			met = all.latest(p[1], m.At, history.Started) // the time of its readiness is not known
		}
		found = later(found, met)
	}
	return found
}

// stopper returns the cause of a container's stop: an exit, the last exit for which the
// stop was held, or the deletion of the pod.
func (all moments) stopper(m *Moment) *Moment {
	var found *Moment
	for _, name := range m.event.StoppedBy {
		found = later(found, all.latest(name, m.At, history.Exited))
	}
	if held := all.own(m, history.Held); held != nil && held != m {
		found = held
		for _, name := range held.event.For {
			found = later(found, all.latest(name, m.At, history.Exited))
		}
	}
	if found == nil {
		found = all.latest("", m.At, history.PodDeleted)
	}
	return found
}

// never matches a reason that names a container whose condition cannot be met any more.
var never = regexp.MustCompile(`(?:^|: )(\S+) will never `)

// endedBy returns the cause of a container's end: its stop, the exit after which its start
// dependency cannot be met any more, or the start of its command.
func (all moments) endedBy(m *Moment) *Moment {
	if stop := all.own(m, history.Stopping); stop != nil && !stop.At.After(m.At) {
		return stop
	}
	started := all.own(m, history.Started)
	if started == nil {
		if n := never.FindStringSubmatch(m.Why); n != nil {
			return later(all.own(m, history.Created), all.latest(n[1], m.At, history.Exited))
		}
		return all.own(m, history.Created)
	}
	return started
}

// arrows returns an arrow for each cause in another container.
func (all moments) arrows() []Arrow {
	var list []Arrow
	for _, m := range all {
		if m.cause != nil && m.cause.Container != "" && m.cause.Container != m.Container && m.Kind != history.Created {
			list = append(list, Arrow{m.cause, m, m.Kind == history.Stopping || m.Kind == history.Exited})
		}
	}
	return list
}

// chain returns the chain of causes that leads to the last moment.
func (all moments) chain() []*Moment {
	if len(all) < 2 {
		return nil
	}
	var list []*Moment
	for m := all[len(all)-1]; m != nil && !slices.Contains(list, m); m = m.cause {
		m.Critical = true
		list = append(list, m)
	}
	return list
}

// cause returns why a pod failed, "" if it has not.
func cause(h history.History, all moments) string {
	if h.Phase != "Failed" && h.Phase != "Error" {
		return ""
	}
	for _, m := range all {
		if m.Kind != history.Exited || m.event.ExitCode == 0 {
			continue
		}
		if m.cause != nil && (m.cause.Container != m.Container || m.cause.Kind == history.Stopping) || never.MatchString(m.Why) {
			continue // another container, or a stop, is the cause
		}
		text := fmt.Sprintf("container %q exited with code %d", m.Container, m.event.ExitCode)
		if m.Run > 0 {
			text += fmt.Sprintf(" after %d restarts", m.Run)
		}
		if m.Why != "" {
			text += ": " + m.Why
		}
		return text + blame(h, m)
	}
	return strings.TrimSpace(h.Reason)
}

// blame returns the last probe failure of a container that another container waited for in vain.
func blame(h history.History, m *Moment) string {
	for _, e := range slices.Backward(h.Events) {
		if e.Kind == history.NotReady && strings.Contains(m.Why, e.Container+" to be ready") {
			return fmt.Sprintf(" (%s: %s)", e.Container, e.Reason)
		}
	}
	return ""
}
