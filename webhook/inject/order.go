package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/explore"
	"koordinator.io/koordinator/wrapper/spec"
)

// pair is a container and another that it depends on.
type pair [2]string

// order is what is asked for the order of a pod's containers, and what is said
// of it.
type order struct {
	*input
	*Notes

	specs   map[string]spec.Spec
	stops   stops
	refused map[pair]bool // dependencies that are refused already
}

// checkOrder refuses orders that no run of the pod gets past, and warns of those
// that some run does not.
func (in *input) checkOrder(specs map[string]spec.Spec, holds spec.Graph, refused map[pair]bool, n *Notes) {
	o := order{in, n, specs, stopsOf(specs), refused}
	cycles := spec.StartGraph(specs).Cycles()
	found, explored := o.explore(len(cycles) > 0)
	for _, path := range cycles {
		o.checkCycle(path, found, explored)
	}
	if len(cycles) > 0 {
		return // what follows from a cycle says nothing new
	}
	for _, path := range holds.Cycles() {
		o.refuse(o.holdPlace(path), fmt.Sprintf("cycle %s: each would stop only after the next has exited: remove one of these dependencies", arrows(path)))
	}
	if !explored {
		o.checkPairs()
		return
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		o.checkStarts(name, found)
	}
	for _, h := range found.Hangs {
		if found.Starts[h.Container] { // else it is refused
			o.checkHang(h)
		}
	}
}

// checkCycle refuses a cycle of start dependencies, unless something else ends
// the wait.
func (o order) checkCycle(path []string, found explore.Result, explored bool) {
	place := o.asked.Wishes[path[0]].Places["startDeps"]
	stuck := func(name string) bool { return !found.Starts[name] }
	if explored && !slices.ContainsFunc(path, stuck) {
		o.warn(place, fmt.Sprintf("cycle %s: each waits for the next, until a start timeout or a stop dependency ends the wait of one: remove one of these dependencies", arrows(path)))
		return
	}
	o.refuse(place, fmt.Sprintf("cycle %s: each waits for the next, so none ever starts: remove one of these dependencies", arrows(path)))
}

// holdPlace is where one of the stop dependencies of a cycle is written. There
// is one, since start dependencies alone that go round are refused before.
func (o order) holdPlace(path []string) string {
	for _, name := range path {
		if place, found := o.asked.Wishes[name].Places["stopDeps"]; found {
			return place
		}
	}
	return Prefix + "stop-deps"
}

// explore finds out what can become of the containers that depend on each
// other. It is not ok when there are too many, and empty where there is nothing
// to find out: no cycle, no exit that matters.
func (o order) explore(matters bool) (found explore.Result, ok bool) {
	var pod []spec.Spec
	named := map[string]bool{}
	for _, c := range o.containers {
		asked, found := o.specs[c.Name]
		if !found || c.runsToEnd() {
			continue
		}
		s := o.explorable(c, asked)
		for _, deps := range [][]spec.Dependency{s.StartDeps, s.StopDeps} {
			for _, d := range deps {
				named[d.Container] = true
			}
		}
		matters = matters || len(s.StopDeps) > 0 || slices.ContainsFunc(s.StartDeps, isExit)
		pod = append(pod, s)
	}
	if !matters {
		return explore.Result{}, true
	}
	for _, s := range pod {
		delete(named, s.Container)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		pod = append(pod, o.bystander(name))
	}
	return explore.Pod(pod)
}

// explorable is a container's spec as far as it is known before anything is
// compiled, without what can never matter.
func (o order) explorable(c container, s spec.Spec) spec.Spec {
	s.Container, s.Restart = c.Name, c.restart()
	all := len(s.StopDeps)
	s.StartDeps, s.StopDeps = o.sound(c, s.StartDeps), slices.DeleteFunc(o.sound(c, s.StopDeps), o.neverExits)
	if c.init() || s.StopWhen == spec.StopAll && len(s.StopDeps) < all {
		s.StopDeps = nil
	}
	return s
}

// sound are the dependencies of a container that are not refused already.
func (o order) sound(c container, deps []spec.Dependency) []spec.Dependency {
	return slices.DeleteFunc(o.open(deps), func(d spec.Dependency) bool { return o.refused[pair{c.Name, d.Container}] })
}

// neverExits reports whether a dependency is on a container that is restarted for
// ever.
func (o order) neverExits(d spec.Dependency) bool {
	on, found := o.find(d.Container)
	return found && on.restarts() == corev1.RestartPolicyAlways && len(on.restart().Rules) == 0
}

// isExit reports whether a start dependency is on an exit.
func isExit(d spec.Dependency) bool {
	return d.Condition == spec.Exited || d.Condition == spec.Succeeded
}

// bystander is the spec of a container that others only depend on. Of one that
// another webhook adds nothing is known: it may exit for good.
func (o order) bystander(name string) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy = name, spec.RestartNever
	if c, found := o.find(name); found {
		s.Restart = c.restart()
	}
	return s
}

// checkStarts refuses a container that starts in no run of the pod, and warns of
// one that starts only before another is stopped. What comes of that for those
// that wait for it says nothing new.
func (o order) checkStarts(name string, found explore.Result) {
	follows := func(among map[string]bool) bool {
		return slices.ContainsFunc(o.specs[name].StartDeps, func(d spec.Dependency) bool {
			starts, explored := among[d.Container]
			return explored && !starts && !d.Optional
		})
	}
	starts, explored := found.Starts[name]
	place := o.asked.Wishes[name].Places["startDeps"]
	switch {
	case !explored:
	case !starts && !follows(found.Starts):
		o.refuse(place, o.whyNever(name))
	case starts && !found.Ends[name]:
		o.refuse(o.stopPlace(name), fmt.Sprintf("%q never exits for good: it is started again each time it has exited: change its restart policy or its exit codes", name))
	case starts && !found.Promptly[name] && !follows(found.Promptly):
		o.warn(place, o.whyHardly(name))
	}
}

// whyNever says why a container starts in no run.
func (o order) whyNever(name string) string {
	for _, exit := range spec.ExitsBefore(o.specs, name) {
		if o.stops.by(name, exit.Dependency) {
			return o.asItStarts(name, exit)
		}
	}
	starts := listed(o.specs[name].StartDeps, "and")
	if deps := o.specs[name].StopDeps; len(deps) > 0 {
		return fmt.Sprintf("%q never starts: when its start dependencies hold (%s), its stop dependencies hold too (%s): remove one of them", name, starts, listed(deps, "or"))
	}
	return fmt.Sprintf("%q never starts: its start dependencies (%s) never hold at the same moment: remove one of them", name, starts)
}

// whyHardly says why a container starts only if another takes its time to stop.
func (o order) whyHardly(name string) string {
	for _, exit := range spec.ExitsBefore(o.specs, name) {
		for _, d := range o.specs[name].StartDeps {
			if d.Condition == spec.Ready && o.stops.by(d.Container, exit.Dependency) {
				return o.hardlyEver(name, d.Container, exit)
			}
		}
	}
	return fmt.Sprintf("%q hardly ever starts: its start dependencies (%s) hold together only while another container is being stopped: remove one of them", name, listed(o.specs[name].StartDeps, "and"))
}

// checkHang warns of a run after which a container never ends, or never starts.
func (o order) checkHang(h explore.Hang) {
	if h.Waits {
		o.warn(o.asked.Wishes[h.Container].Places["startDeps"], fmt.Sprintf("%s%q never starts: it waits for %s indefinitely%s",
			conditions(h), h.Container, listed(o.specs[h.Container].StartDeps, "and"), o.because(h)))
		return
	}
	o.warn(o.stopPlace(h.Container), fmt.Sprintf("%s%q never exits for good: it is stopped and restarted indefinitely, because its stopped-exit-code is not 0 (restartPolicy: OnFailure): remove stopped-exit-code, or set restartPolicy: Never",
		conditions(h), h.Container))
}

// because names the stop dependency that such a wait would have to come before.
func (o order) because(h explore.Hang) string {
	if len(o.stops[h.Forever][h.Container]) == 0 {
		return ""
	}
	return fmt.Sprintf(", and %q is stopped only after %q has exited (%s)", h.Forever, h.Container, o.asked.Wishes[h.Forever].Places["stopDeps"])
}

// stopPlace is where it was said how a container stops.
func (o order) stopPlace(name string) string {
	if place := o.asked.placeOf(name, "stoppedExitCode"); place != "" {
		return place
	}
	return o.asked.Wishes[name].Places["stopDeps"]
}

// conditions are the beginning of a sentence: what has happened in a run before
// a container hangs.
func conditions(h explore.Hang) string {
	var all []string
	if h.Forever != "" {
		all = append(all, fmt.Sprintf("%q does not exit by itself", h.Forever))
	}
	for _, e := range h.Exits {
		switch {
		case e.Stopped && e.Container == h.Container: // the sentence goes on with that
		case e.Stopped:
			all = append(all, fmt.Sprintf("%q is stopped", e.Container))
		case e.Success:
			all = append(all, fmt.Sprintf("%q exits with code 0", e.Container))
		default:
			all = append(all, fmt.Sprintf("%q exits with a code other than 0", e.Container))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return "if " + strings.Join(all, " and ") + ", "
}

// listed writes dependencies as in a sentence.
func listed(deps []spec.Dependency, word string) string {
	texts := make([]string, len(deps))
	for i, d := range deps {
		texts[i] = d.String()
	}
	return strings.Join(texts, " "+word+" ")
}
