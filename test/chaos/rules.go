package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

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
		runs := s.of(c.Name, "runs")
		if s.Pod.Policy == "Never" && slices.ContainsFunc(runs[:max(len(runs)-1, 0)], func(e Event) bool { return !s.interrupted(e.At) }) {
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

// unsaid is the maximum time between the start of a command and the moment at which the
// runtime has recorded it.
const unsaid = 3 * time.Second

// interrupted reports whether the runtime may not know a run that began at a time, because
// it was restarted during the start. The kubelet then sees a container in the state
// unknown. It stops this container and starts it again under each restart policy.
func (s Story) interrupted(began time.Duration) bool {
	return slices.ContainsFunc(s.Outages, func(o Span) bool { return o.Begin <= began+unsaid && began <= o.End })
}

// replaced reports whether the kubelet may at a time have stopped a container to start it
// again.
func (s Story) replaced(who string, at time.Duration) bool {
	runs := s.of(who, "runs")
	for i, run := range runs {
		// A next start is due, or the wrapper did not run its command.
		next := s.due(who) || s.Pod.Policy == "Always" || s.Fates[who].Restarts >= len(runs)
		if i+1 < len(runs) {
			next = at <= runs[i+1].At
		}
		if next && s.interrupted(run.At) && run.At <= at {
			return true
		}
	}
	return false
}

// due reports whether a container may have had a next start before it at the end of the
// story.
func (s Story) due(who string) bool {
	last, known := s.Fates[who]
	return !known || last.Waiting
}

// lost reports whether the runtime may have ended a container in its restart, so that the
// command could not say so.
func (s Story) lost(who string) bool {
	return (s.Fates[who].Lost || s.Fates[who].Unstarted) && s.disturbed()
}

// late is how long after the deletion request a container may still be started, or stopped
// for a stop dependency: the kubelet first starts all containers of a pod, and stops them
// afterwards.
const late = 15 * time.Second

// again is how long after a restart of the kubelet or the runtime a lost stop request may
// arrive: the kubelet retries after 10 to 15 s.
const again = 30 * time.Second

// heard returns the time until which a container may not yet know of the deletion.
func (s Story) heard() time.Duration {
	end := max(s.Deleted, s.Heard) + late
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
// ended, its wrapper was killed, the runtime ended it, or its command was never started.
func (s Story) gone(who string, at time.Duration) bool {
	killed := s.Pod.Victim == who && s.Killed > 0 && s.Killed <= at+grain
	return s.before(who, "ends", at) || killed || s.lost(who) || s.replaced(who, at) || len(s.of(who, "runs")) == 0
}

// unmet returns why a start dependency cannot have been met by a time, "" if it can.
func (s Story) unmet(d Dep, at time.Duration) string {
	target := s.Pod.find(d.On)
	switch {
	case d.Optional && s.gone(d.On, at):
		return ""
	case d.Condition == Ready && target.Probe && !s.before(d.On, "ready", at):
		return "it was not ready"
	case (d.Condition == Ready || d.Condition == Started) && len(s.of(d.On, "runs")) == 0 && !s.mute(d.On):
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

// mute reports whether a command may have been started without an event: a started command
// writes it a moment later, if it still exists.
func (s Story) mute(who string) bool { return s.Pod.Victim == who && s.Killed > 0 || s.lost(who) }

// stopped reports whether a container received a stop request before the pod did, and not
// to be replaced.
func (s Story) stopped(who string) bool {
	return slices.ContainsFunc(s.of(who, "term"), func(e Event) bool {
		return (s.Deleted == 0 || e.At < s.Deleted) && !s.replaced(who, e.At)
	})
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
	if s.restarts(c, at) || s.replaced(c.Name, at) {
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
		return killed || s.silent(name, began, at) ||
			slices.ContainsFunc(s.of(name, "ends"), func(e Event) bool { return began <= e.At+grain && e.At <= at+grain })
	})
}

// silent reports whether a container's command may have ended without an event between two
// times: the runtime may kill a container that it started during a restart.
func (s Story) silent(who string, from, to time.Duration) bool {
	runs := s.of(who, "runs")
	for i, run := range runs {
		next, over := time.Duration(math.MaxInt64/2), s.due(who)
		if i+1 < len(runs) {
			next, over = runs[i+1].At, true
		}
		said := slices.ContainsFunc(s.of(who, "ends"), func(e Event) bool { return run.At <= e.At && e.At <= next })
		if over && !said && s.outage(run.At, run.At) && from <= next+grain && run.At <= to+grain {
			return true
		}
	}
	return false
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
			due := s.Killed == 0 && s.Deleted > end.At+settled && !s.lost(c.Name)
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
	case len(ended) > 0 && s.replaced(d.On, ended[0].At):
		return true // by the end of one run or of the other
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
			running := s.before(other.Name, "runs", s.Deleted) && !s.before(other.Name, "ends", stop.At) && !s.lost(other.Name)
			retried := !s.before(other.Name, "term", stop.At) && s.outage(s.Deleted, stop.At) // the kubelet has not asked it yet
			if running && !retried && s.Pod.Grace >= 20*time.Second {
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
	if len(s.Events) == 0 {
		return len(s.Outages) > 0
	}
	return s.outage(s.Events[0].At, s.Events[len(s.Events)-1].At)
}

// outage reports whether a restart of the kubelet or the runtime, or the time in which the
// kubelet retries after it, overlaps with a period.
func (s Story) outage(from, to time.Duration) bool {
	return slices.ContainsFunc(s.Outages, func(o Span) bool { return o.Begin <= to && from <= o.End+again })
}

// fate checks the exit code against the documented one, if the pod ended by itself.
func (s Story) fate(c Container) []string {
	f, seen := s.Fates[c.Name]
	if !seen || !f.Ended || f.Lost || f.Unstarted && s.disturbed() || s.Deleted > 0 || s.Pod.Policy != "Never" || s.Killed > 0 && c.Name == s.Pod.Victim {
		return nil
	}
	ended := s.of(c.Name, "ends")
	ran, term := len(s.of(c.Name, "runs")) > 0, s.stopped(c.Name)
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
