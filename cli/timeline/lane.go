package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/history"
)

// lane returns a container's lane. end is the end of the timeline.
func lane(c history.Container, runs []run, end time.Time) Lane {
	l := Lane{Container: c, Result: "pending"}
	for _, r := range runs {
		l.Segments = append(l.Segments, r.segments(end)...)
	}
	if len(runs) == 0 {
		return l
	}
	last := runs[len(runs)-1]
	l.Restarts = last[0].Run
	l.Result, l.Code = result(last)
	return l
}

// summary returns the state of a container and the number of its restarts.
func (l Lane) summary() string {
	if l.Restarts == 0 {
		return l.Result
	}
	return fmt.Sprintf("%s (restarts: %d)", l.Result, l.Restarts)
}

// segments returns the states of one incarnation.
func (r run) segments(end time.Time) []Segment {
	type change struct {
		state State
		at    time.Time
		note  string
	}
	begin := r[0]
	changes := []change{{Waiting, begin.At, waitNote(r)}}
	if !r.wrapped() {
		changes[0] = change{Ready, begin.At, "not wrapped: readiness is not known"}
	}
	if e, ok := r.first(history.Started); ok {
		changes = append(changes, change{Starting, e.At, ""})
	}
	if e, ok := r.first(history.Ready); ok {
		changes = append(changes, change{Ready, e.At, ""})
	}
	if e, ok := r.stop(); ok {
		changes = append(changes, change{Stopping, e.At, stopNote(r)})
	}
	if e, ok := r.last(history.Terminated, history.Exited, history.Ended); ok {
		end = e.At
	}
	var all []Segment
	for i, c := range changes {
		to := end
		if i+1 < len(changes) {
			to = changes[i+1].at
		}
		if to.After(c.at) || len(changes) == 1 {
			all = append(all, Segment{State: c.state, From: c.at, To: to, Run: begin.Run, Note: c.note})
		}
	}
	return all
}

// waitNote returns the conditions that a container waited for.
func waitNote(r run) string {
	e, ok := r.first(history.Waiting)
	if !ok {
		return ""
	}
	return "for " + strings.Join(e.For, ", ")
}

// stopNote returns why a container was stopped.
func stopNote(r run) string {
	e, ok := r.last(history.Stopping)
	if !ok {
		return ""
	}
	if e.Reason == "" {
		return e.Signal
	}
	return e.Signal + ": " + e.Reason
}

// result returns the state of an incarnation at its end, and its exit code if it has ended.
func result(r run) (string, *int) {
	end, ended := r.last(history.Terminated)
	if !ended {
		if end, ended = r.last(history.Exited); !ended {
			return now(r), nil
		}
	}
	text := fmt.Sprintf("exit %d", end.ExitCode)
	if note := stopNote(r); note != "" {
		text += "  " + note
	} else if e, ok := r.last(history.Ended); ok {
		text += "  " + e.Reason
	} else if end.Reason != "" {
		text += "  " + end.Reason
	}
	return text, &end.ExitCode
}

// now returns the state of an incarnation that has not ended.
func now(r run) string {
	stop, stops := r.stop()
	waiting, waits := r.last(history.Waiting)
	_, started := r.first(history.Started)
	_, ready := r.first(history.Ready)
	switch {
	case stops && stop.Kind == history.Held:
		return "stopping, after " + strings.Join(stop.For, ", ")
	case stops:
		return "stopping"
	case waits && !started:
		return "waiting for " + strings.Join(waiting.For, ", ")
	case started && !ready:
		if e, ok := r.last(history.NotReady); ok {
			return "starting: " + e.Reason
		}
		return "starting"
	case !r.wrapped():
		return "running"
	default:
		return "ready"
	}
}

// outline marks the segments that the critical chain goes through.
func (t *Timeline) outline() {
	for i, m := range t.Chain {
		if m.Container == "" || i+1 == len(t.Chain) {
			continue
		}
		from := t.Chain[i+1]
		if from.Container != m.Container {
			continue
		}
		at := slices.IndexFunc(t.Lanes, func(l Lane) bool { return l.Container.Name == m.Container })
		for j := range t.Lanes[at].Segments {
			s := &t.Lanes[at].Segments[j]
			if s.Run == m.Run && !s.From.Before(from.At) && !s.To.After(m.At) {
				s.Critical = true
			}
		}
	}
}
