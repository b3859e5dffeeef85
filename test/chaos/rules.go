package chaos

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a line that a container's command wrote: "runs", "ready", "term" or
// "ends CODE".
type Event struct {
	At   time.Duration // time since the machine's start
	Who  string
	What string
}

// Parse reads the events of a log.
func Parse(log string) ([]Event, error) {
	var events []Event
	for line := range strings.Lines(log) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("event %q", line)
		}
		seconds, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("event %q: %w", line, err)
		}
		events = append(events, Event{time.Duration(seconds * float64(time.Second)), fields[1], fields[2]})
	}
	return events, nil
}

// Fate is the end of a container, as the kubelet reports it.
type Fate struct {
	Ended     bool
	Lost      bool // the exit code was lost in a restart of the runtime
	Unstarted bool // the runtime did not start it
	Code      int
}

// Span is a period, with times since the machine's start.
type Span struct{ Begin, End time.Duration }

// Story is the observed run of a pod.
type Story struct {
	Pod     Pod
	Events  []Event
	Fates   map[string]Fate // from the pod's last status before it was deleted
	Deleted time.Duration   // time of the pod's deletion since the machine's start, 0 if it was not deleted
	Killed  time.Duration   // time at which the victim's wrapper was killed, in the same form
	Over    bool            // no container of the pod is left

	Outages []Span // restarts of the kubelet or the runtime
}

// grain is the precision of the times, which are truncated to hundredths of a second.
const grain = 11 * time.Millisecond

// Violations returns the observations that contradict the documentation.
func (s Story) Violations() []string {
	var all []string
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	for _, c := range s.Pod.Containers {
		for _, run := range s.of(c.Name, "runs") {
			for _, d := range c.StartDeps {
				if why := s.unmet(d, run.At); why != "" {
					add("%s was started at %s although %s: %s", c.Name, run.At, d, why)
				}
			}
			for _, name := range c.Files {
				if !s.before(name, "ready", run.At) {
					add("%s was started at %s although %s had not made its file", c.Name, run.At, name)
				}
			}
			if s.Deleted > 0 && run.At > s.heard() {
				add("%s was started %s after the pod was deleted", c.Name, run.At-s.Deleted)
			}
		}
		if len(s.of(c.Name, "runs")) > 0 && s.Pod.Policy == "Never" && len(s.of(c.Name, "runs")) > 1 {
			add("%s was started twice under restartPolicy Never", c.Name)
		}
		for _, stop := range s.of(c.Name, "term") {
			if why := s.unasked(c, stop.At); why != "" {
				add("%s got SIGTERM at %s: %s", c.Name, stop.At, why)
			}
		}
		all = append(all, s.unrestarted(c)...)
		all = append(all, s.order(c)...)
		all = append(all, s.fate(c)...)
	}
	if !s.Over {
		add("containers are left after the pod's end")
	}
	return all
}

// late is how long after the deletion request a container may still be started, or stopped
// for a stop dependency, because the request has to reach the API server, the kubelet and
// the runtime.
const late = 3 * time.Second

// again is how long after a restart of the kubelet or the runtime a lost stop request may
// arrive: the kubelet retries after 10 s.
const again = 15 * time.Second

// heard returns the time until which a container may not yet know of the deletion.
func (s Story) heard() time.Duration {
	end := s.Deleted + late
	for _, o := range s.Outages {
		if o.Begin <= end && s.Deleted <= o.End+again {
			end = max(end, o.End+again)
		}
	}
	return end
}

// of returns the events of one kind of a container; "ends" matches any end.
func (s Story) of(who, what string) []Event {
	var found []Event
	for _, e := range s.Events {
		if e.Who == who && (e.What == what || strings.HasPrefix(e.What, what+" ")) {
			found = append(found, e)
		}
	}
	return found
}

// before reports whether a container had an event of a kind by a time.
func (s Story) before(who, what string, at time.Duration) bool {
	return slices.ContainsFunc(s.of(who, what), func(e Event) bool { return e.At <= at+grain })
}

// gone reports whether a container may have permanently exited by a time: its command
// ended, its wrapper was killed, or its command was never started.
func (s Story) gone(who string, at time.Duration) bool {
	killed := s.Pod.Victim == who && s.Killed > 0 && s.Killed <= at+grain
	return s.before(who, "ends", at) || killed || len(s.of(who, "runs")) == 0
}

// unmet returns why a start dependency cannot have been met by a time, "" if it can.
func (s Story) unmet(d Dep, at time.Duration) string {
	target := s.Pod.find(d.On)
	switch {
	case d.Optional && s.gone(d.On, at):
		return ""
	case d.Condition == Ready && target.Probe && !s.before(d.On, "ready", at):
		return "it was not ready"
	case (d.Condition == Ready || d.Condition == Started) && len(s.of(d.On, "runs")) == 0: // a started command may write its event late
		return "its command was not started"
	case d.Condition == Exited && !s.gone(d.On, at):
		return "its command ran"
	case d.Condition == Succeeded && !s.before(d.On, "ends 0", at):
		return "its command had not ended with code 0"
	case d.Condition == Succeeded && s.stopped(d.On):
		return "it was stopped"
	}
	return ""
}

// stopped reports whether a container received a stop request before the pod did.
func (s Story) stopped(who string) bool {
	return slices.ContainsFunc(s.of(who, "term"), func(e Event) bool { return s.Deleted == 0 || e.At < s.Deleted })
}

// unasked returns why a container cannot have received a stop request by a time.
func (s Story) unasked(c Container, at time.Duration) string {
	if s.Deleted > 0 && at+grain >= s.Deleted {
		return ""
	}
	return s.unheld(c, at)
}

// unheld returns why the stop dependencies of a container cannot have stopped it by a time.
func (s Story) unheld(c Container, at time.Duration) string {
	if s.restarts(c, at) {
		return ""
	}
	if s.Pod.Policy == "Always" {
		return "nothing ends for good under restartPolicy Always, and the pod was not deleted"
	}
	held := 0
	for _, d := range c.StopDeps {
		if s.holds(d, at) {
			held++
		}
	}
	switch {
	case len(c.StopDeps) == 0:
		return "it has no stop dependency"
	case held == 0:
		return "no stop dependency held"
	case c.StopAll && held < len(c.StopDeps):
		return "not every stop dependency held"
	}
	return ""
}

// restarts reports whether a container in RestartWith ended between this container's last
// start and a time.
func (s Story) restarts(c Container, at time.Duration) bool {
	var began time.Duration
	for _, run := range s.of(c.Name, "runs") {
		if run.At <= at {
			began = run.At
		}
	}
	return slices.ContainsFunc(c.RestartWith, func(name string) bool {
		killed := name == s.Pod.Victim && s.Killed > 0 && began <= s.Killed+grain && s.Killed <= at+grain
		return killed || slices.ContainsFunc(s.of(name, "ends"), func(e Event) bool { return began <= e.At+grain && e.At <= at+grain })
	})
}

// settled is the minimum time between an event and the end of a story, for the consequences
// of the event to be required.
const settled = 30 * time.Second

// unrestarted returns a violation for each end of a container in RestartWith that did not
// restart this one.
func (s Story) unrestarted(c Container) []string {
	var all []string
	for _, name := range c.RestartWith {
		for _, end := range s.of(name, "ends") {
			ran := false // whether this container ran at that time
			for _, e := range s.Events {
				if e.Who == c.Name && e.At <= end.At-grain {
					ran = e.What == "runs" || e.What == "ready"
				}
			}
			due := s.Killed == 0 && s.Deleted > end.At+settled
			stopped := slices.ContainsFunc(s.of(c.Name, "term"), func(e Event) bool { return e.At+grain >= end.At && (s.Deleted == 0 || e.At < s.Deleted) })
			if ran && due && !stopped {
				all = append(all, fmt.Sprintf("%s was not restarted when %s ended at %s", c.Name, name, end.At))
			}
		}
	}
	return all
}

// holds reports whether a stop dependency may have been met by a time.
func (s Story) holds(d Dep, at time.Duration) bool {
	ended := s.of(d.On, "ends")
	zero := len(ended) > 0 && ended[0].What == "ends 0" && !s.stopped(d.On)
	switch {
	case !s.gone(d.On, at):
		return false
	case d.Condition == Succeeded:
		return zero
	case d.Condition == Failed:
		return !zero
	}
	return true
}

// order checks the documented order of the pod's deletion: a container receives its signal
// only after the containers that need it have exited, unless one of them takes longer than
// the remaining grace period.
func (s Story) order(c Container) []string {
	var all []string
	if s.Deleted == 0 || s.Killed > 0 {
		return nil
	}
	for _, stop := range s.of(c.Name, "term") {
		if stop.At < s.Deleted || stop.At < s.heard() && s.unheld(c, stop.At) == "" {
			continue // the kubelet may not yet have begun to stop the pod
		}
		for _, other := range s.holders(c) {
			running := s.before(other.Name, "runs", s.Deleted) && !s.before(other.Name, "ends", stop.At)
			if running && s.Pod.Grace >= 20*time.Second {
				all = append(all, fmt.Sprintf("%s got SIGTERM at %s while %s, which needs it, ran", c.Name, stop.At, other.Name))
			}
		}
	}
	return all
}

// holders returns the containers that must exit before this one when the pod is stopped:
// those that wait for it with started or ready, and those on which it has a stop
// dependency. A stop dependency overrides a start dependency between the same two
// containers. Two containers with stop dependencies on each other do not hold for each
// other.
func (s Story) holders(c Container) []Container {
	on := func(deps []Dep, name string, conditions ...Condition) bool {
		return slices.ContainsFunc(deps, func(d Dep) bool {
			return d.On == name && (len(conditions) == 0 || slices.Contains(conditions, d.Condition))
		})
	}
	var all []Container
	for _, o := range s.Pod.Containers {
		after, before := on(c.StopDeps, o.Name), on(o.StopDeps, c.Name)
		needs := on(o.StartDeps, c.Name, Started, Ready)
		if after && !before || needs && !before {
			all = append(all, o)
		}
	}
	return all
}

// disturbed reports whether the kubelet or the runtime was restarted while the pod ran.
func (s Story) disturbed() bool {
	return slices.ContainsFunc(s.Outages, func(o Span) bool {
		return len(s.Events) == 0 || o.Begin <= s.Events[len(s.Events)-1].At && s.Events[0].At <= o.End+again
	})
}

// fate checks the exit code against the documented one, if the pod ended by itself.
func (s Story) fate(c Container) []string {
	f, seen := s.Fates[c.Name]
	if !seen || !f.Ended || f.Lost || f.Unstarted && s.disturbed() || s.Deleted > 0 || s.Pod.Policy != "Never" || s.Killed > 0 && c.Name == s.Pod.Victim {
		return nil
	}
	ended := s.of(c.Name, "ends")
	ran, term := len(s.of(c.Name, "runs")) > 0, len(s.of(c.Name, "term")) > 0
	var want []int
	switch {
	case !ran:
		want = []int{0, 69} // not started because of a stop dependency, or because a start dependency cannot be met any more
	case term:
		want = []int{0}
	case len(ended) > 0 && s.unheld(c, ended[0].At) == "": // by itself, after its stop had begun or before
		want = []int{c.Code, 0}
	case len(ended) > 0:
		want = []int{c.Code}
	default:
		return []string{fmt.Sprintf("%s ended with code %d without a word", c.Name, f.Code)}
	}
	if !slices.Contains(want, f.Code) {
		return []string{fmt.Sprintf("%s reported code %d, want one of %v", c.Name, f.Code, want)}
	}
	return nil
}
