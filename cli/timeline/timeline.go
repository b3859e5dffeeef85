// Package timeline puts the history of a pod into lanes, one for each container, and
// determines the cause of each event.
package timeline

import (
	"slices"
	"time"

	"koordinator.io/koordinator/cli/history"
)

// State is the state of a container over a period.
type State string

// The states. A container whose readiness is unknown counts as ready while its command runs.
const (
	Waiting  State = "waiting"  // the container runs, its command does not
	Starting State = "starting" // the command runs and is not ready yet
	Ready    State = "ready"
	Stopping State = "stopping" // its stop has begun
)

// Segment is a period in which a container is in one state.
type Segment struct {
	State    State     `json:"state"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Run      int       `json:"run,omitempty"` // incarnation
	Note     string    `json:"note,omitempty"`
	Critical bool      `json:"critical,omitempty"`
}

// Lane is the timeline of one container.
type Lane struct {
	Container history.Container `json:"container"`
	Segments  []Segment         `json:"segments"`
	Result    string            `json:"result"` // state at the end
	Code      *int              `json:"exitCode,omitempty"`
	Restarts  int               `json:"restarts,omitempty"`
}

// Moment is a point in time that can cause others: a container was created, started, became
// ready, received a stop request, or exited.
type Moment struct {
	Container string       `json:"container"` // "" for the pod's creation
	Kind      history.Kind `json:"kind"`
	Run       int          `json:"run,omitempty"`
	At        time.Time    `json:"at"`
	Why       string       `json:"why,omitempty"`
	Critical  bool         `json:"critical,omitempty"`

	cause *Moment
	event history.Event
}

// Arrow leads from a cause to its effect in another container.
type Arrow struct {
	From *Moment `json:"from"`
	To   *Moment `json:"to"`
	Stop bool    `json:"stop,omitempty"` // the effect is a stop
}

// Timeline is the history of a pod, prepared for display.
type Timeline struct {
	Pod    string    `json:"pod"`
	Phase  string    `json:"phase"`
	Cause  string    `json:"cause,omitempty"` // why the pod failed
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end"`
	Lanes  []Lane    `json:"lanes"`
	Arrows []Arrow   `json:"arrows,omitempty"`
	Chain  []*Moment `json:"criticalChain,omitempty"` // from the end to the start

	Log []history.Event `json:"log"`
}

// Of returns the timeline of a history.
func Of(h history.History) Timeline {
	t := Timeline{Pod: h.Pod, Phase: h.Phase, Log: h.Events}
	runs := split(h)
	t.bounds(h, runs)
	moments := momentsOf(h, runs, t.Begin)
	moments.connect(h)
	t.Arrows = moments.arrows()
	t.Chain = moments.chain()
	for _, c := range h.Containers {
		t.Lanes = append(t.Lanes, lane(c, runs[c.Name], t.End))
	}
	t.outline()
	t.Cause = cause(h, moments)
	return t
}

// run is one incarnation of a container: its events, in order.
type run []history.Event

// split returns the incarnations of each container.
func split(h history.History) map[string][]run {
	all := map[string][]run{}
	for _, e := range h.Events {
		if e.Container == "" || e.Kind == history.Cluster {
			continue
		}
		list := all[e.Container]
		i := slices.IndexFunc(list, func(r run) bool { return r[0].Run == e.Run })
		if i < 0 {
			list, i = append(list, nil), len(list)
		}
		list[i] = append(list[i], e)
		all[e.Container] = list
	}
	return all
}

// bounds sets the beginning and the end of the timeline. It ends with the last exit if the
// pod has ended and no container runs, and now otherwise.
func (t *Timeline) bounds(h history.History, runs map[string][]run) {
	for _, e := range h.Events {
		if e.Kind == history.PodCreated {
			t.Begin = e.At
		}
	}
	running := false
	for _, list := range runs {
		for _, r := range list {
			end, ended := r.last(history.Terminated, history.Exited, history.Ended)
			running = running || !ended && r[0].Run == list[len(list)-1][0].Run
			if t.Begin.IsZero() || r[0].At.Before(t.Begin) {
				t.Begin = r[0].At
			}
			if ended && end.At.After(t.End) {
				t.End = end.At
			}
		}
	}
	if done := h.Phase == "Succeeded" || h.Phase == "Failed"; (running || t.End.IsZero() || !done) && h.Now.After(t.End) {
		t.End = h.Now
	}
	if t.Begin.IsZero() || t.End.Before(t.Begin) {
		t.Begin = t.End
	}
}

// first returns the first event of one of these kinds.
func (r run) first(kinds ...history.Kind) (history.Event, bool) {
	i := slices.IndexFunc(r, func(e history.Event) bool { return slices.Contains(kinds, e.Kind) })
	if i < 0 {
		return history.Event{}, false
	}
	return r[i], true
}

// last returns the last event of one of these kinds.
func (r run) last(kinds ...history.Kind) (history.Event, bool) {
	for _, e := range slices.Backward(r) {
		if slices.Contains(kinds, e.Kind) {
			return e, true
		}
	}
	return history.Event{}, false
}

// wrapped reports whether the incarnation has an event of the wrapper.
func (r run) wrapped() bool {
	_, said := r.first(history.Waiting, history.Started, history.Ended, history.Exited)
	return said
}

// stop returns the event with which the container's stop begins.
func (r run) stop() (history.Event, bool) {
	return r.first(history.Requested, history.Held, history.Delayed, history.Stopping, history.Killing)
}
