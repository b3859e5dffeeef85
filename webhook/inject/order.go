package inject

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/explore"
	"koordinator.io/koordinator/wrapper/spec"
)

// pair is a container and a container that it depends on.
type pair [2]string

// order contains the dependencies of a pod's containers and the problems of their
// order.
type order struct {
	*input
	*messages.Notes

	specs   map[string]spec.Spec
	stops   stops
	refused map[pair]bool // dependencies that are already rejected
}

// checkOrder rejects an order that fails in every run of the pod, and warns of
// one that fails in some runs.
func (in *input) checkOrder(specs map[string]spec.Spec, holds spec.Graph, refused map[pair]bool, n *messages.Notes) {
	o := order{in, n, specs, stopsOf(specs), refused}
	cycles := spec.StartGraph(specs).Cycles()
	found, explored := o.explore(len(cycles) > 0)
	for _, path := range cycles {
		o.checkCycle(path, found, explored)
	}
	if len(cycles) > 0 {
		return // consequences of a cycle add no information
	}
	for _, path := range holds.Cycles() {
		o.Refuse(o.holdPlace(path), messages.StopCycle, arrows(path), fmt.Sprintf("these containers depend on each other in a cycle, so none of them can stop first: %s", arrows(path)), removeOne)
	}
	if !explored {
		o.checkPairs()
		return
	}
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		o.checkStarts(name, found)
	}
	for _, h := range found.Hangs {
		if found.Starts[h.Container] { // otherwise it is rejected
			o.checkHang(h)
		}
	}
}

// checkCycle rejects a cycle of start dependencies, unless something else ends
// the wait.
func (o order) checkCycle(path []string, found explore.Result, explored bool) {
	place := o.asked.Wishes[path[0]].Places["startDeps"]
	stuck := func(name string) bool { return !found.Starts[name] }
	if explored && !slices.ContainsFunc(path, stuck) {
		o.Warn(place, messages.StartCycle, arrows(path), fmt.Sprintf("these containers wait for each other in a cycle until a start timeout or a stop dependency ends the wait of one: %s", arrows(path)), removeOne)
		return
	}
	o.Refuse(place, messages.StartCycle, arrows(path), fmt.Sprintf("these containers wait for each other in a cycle, so none of them can start: %s", arrows(path)), removeOne)
}

// holdPlace returns where one of the stop dependencies of a cycle is set. There
// always is one, because cycles that consist of start dependencies only are
// rejected before.
func (o order) holdPlace(path []string) messages.Place {
	for _, name := range path {
		if place, found := o.asked.Wishes[name].Places["stopDeps"]; found {
			return place
		}
	}
	return messages.Annotation(Prefix + "stop-deps")
}

// explore determines the possible outcomes for the containers that depend on each
// other. ok is false if there are too many containers. The result is empty if
// there is nothing to explore: no cycle, and no exit that matters.
func (o order) explore(matters bool) (found explore.Result, ok bool) {
	pod := make([]spec.Spec, 0, len(o.containers))
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

// explorable returns a container's spec as far as it is known at this stage,
// without dependencies that can never matter.
func (o order) explorable(c container, s spec.Spec) spec.Spec {
	s.Container, s.Restart = c.Name, c.restart()
	all := len(s.StopDeps)
	s.StartDeps, s.StopDeps = o.sound(c, s.StartDeps), slices.DeleteFunc(o.sound(c, s.StopDeps), o.neverExits)
	if c.init() || s.StopWhen == spec.StopAll && len(s.StopDeps) < all {
		s.StopDeps = nil
	}
	return s
}

// sound returns the dependencies of a container that are not already rejected.
func (o order) sound(c container, deps []spec.Dependency) []spec.Dependency {
	return slices.DeleteFunc(o.open(deps), func(d spec.Dependency) bool { return o.refused[pair{c.Name, d.Container}] })
}

// neverExits reports whether a dependency is on a container that is restarted
// indefinitely.
func (o order) neverExits(d spec.Dependency) bool {
	on, found := o.find(d.Container)
	return found && on.restarts() == corev1.RestartPolicyAlways && len(on.restart().Rules) == 0
}

// isExit reports whether a start dependency is on an exit.
func isExit(d spec.Dependency) bool {
	return d.Condition == spec.Exited || d.Condition == spec.Succeeded
}

// bystander returns the spec of a container that is only a dependency of others.
// Nothing is known about a container that another webhook adds, so it is assumed
// to exit permanently.
func (o order) bystander(name string) spec.Spec {
	s := spec.Default()
	s.Container, s.Restart.Policy = name, spec.RestartNever
	if c, found := o.find(name); found {
		s.Restart = c.restart()
	}
	if d, delegated := o.delegated[name]; delegated {
		s.StopDeps, s.StopWhen = slices.DeleteFunc(slices.Clone(d.StopDeps), o.neverExits), d.StopWhen
	}
	return s
}

// checkStarts rejects a container that starts in no run of the pod, and warns of
// one that starts only before another one is stopped. It does not report the
// consequences for containers that wait for such a container, because they add no
// information.
func (o order) checkStarts(name string, found explore.Result) {
	follows := func(among map[string]bool) bool {
		return slices.ContainsFunc(o.specs[name].StartDeps, func(d spec.Dependency) bool {
			starts, explored := among[d.Container]
			return explored && !starts && !d.Optional
		})
	}
	starts, explored := found.Starts[name]
	switch {
	case !explored:
	case !starts && !follows(found.Starts):
		o.refuseStart(name)
	case starts && !found.Promptly[name] && !follows(found.Promptly):
		o.warnOfStart(name)
	}
}

// refuseStart rejects a container that starts in no run.
func (o order) refuseStart(name string) {
	for _, exit := range spec.ExitsBefore(o.specs, name) {
		if o.stops.by(name, exit.Dependency) {
			o.refuseAsItStarts(name, exit)
			return
		}
	}
	starts := listed(o.specs[name].StartDeps, "and")
	text := fmt.Sprintf("%q never starts, because its start dependencies (%s) are never met at the same moment", name, starts)
	if s := o.specs[name]; len(s.StopDeps) > 0 {
		word := map[bool]string{true: "and", false: "or"}[s.StopWhen == spec.StopAll]
		text = fmt.Sprintf("%q never starts, because its stop conditions (%s) hold whenever its start dependencies (%s) are met", name, listed(s.StopDeps, word), starts)
	}
	o.Refuse(o.asked.Wishes[name].Places["startDeps"], messages.NeverStarts, starts, text, removeOne)
}

// warnOfStart warns of a container that starts only if another one takes some
// time to stop.
func (o order) warnOfStart(name string) {
	for _, exit := range spec.ExitsBefore(o.specs, name) {
		for _, d := range o.specs[name].StartDeps {
			if d.Condition == spec.Ready && o.stops.by(d.Container, exit.Dependency) {
				o.warnHardlyEver(name, d.Container, exit)
				return
			}
		}
	}
	starts := listed(o.specs[name].StartDeps, "and")
	o.Warn(o.asked.Wishes[name].Places["startDeps"], messages.HardlyEverStarts, starts,
		fmt.Sprintf("%q rarely starts, because its start dependencies (%s) are met together only while another container is being stopped", name, starts), removeOne)
}

// checkHang warns of a run in which a container never ends or never starts.
func (o order) checkHang(h explore.Hang) {
	if h.Waits {
		o.Warn(o.asked.Wishes[h.Container].Places["startDeps"], messages.MayWaitForever, h.Container, fmt.Sprintf("%s%q never starts: it waits for %s indefinitely%s",
			conditions(h), h.Container, listed(o.specs[h.Container].StartDeps, "and"), o.because(h)), "Set start-timeout, or change one of these dependencies")
		return
	}
	why, remedy := "its stopped-exit-code is not 0 (restartPolicy: OnFailure)", "Remove stopped-exit-code, or set restartPolicy: Never"
	if c, found := o.find(h.Container); found && len(c.restart().Rules) > 0 {
		why, remedy = "its restartPolicyRules restart it with the exit code that it reports then", "Change the rules, or stopped-exit-code"
	}
	o.Warn(o.stopPlace(h.Container), messages.MayRestartForever, h.Container,
		fmt.Sprintf("%s%q never exits permanently: it is stopped and restarted indefinitely, because %s", conditions(h), h.Container, why), remedy)
}

// because names the stop dependency that makes such a wait endless.
func (o order) because(h explore.Hang) string {
	if len(o.stops[h.Forever][h.Container]) == 0 {
		return ""
	}
	return fmt.Sprintf(", and %q is stopped only after %q has exited (%s)", h.Forever, h.Container, o.asked.Wishes[h.Forever].Places["stopDeps"].Name())
}

// stopPlace returns the setting that determines how a container stops.
func (o order) stopPlace(name string) messages.Place {
	if place := o.asked.placeOf(name, "stoppedExitCode"); !place.None() {
		return place
	}
	return o.asked.Wishes[name].Places["stopDeps"]
}

// conditions returns the beginning of a sentence: the events in a run before a
// container hangs.
func conditions(h explore.Hang) string {
	var all []string
	if h.Forever != "" {
		all = append(all, fmt.Sprintf("%q does not exit by itself", h.Forever))
	}
	for _, e := range h.Exits {
		switch {
		case e.Stopped && e.Container == h.Container: // the rest of the sentence contains it
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

// listed joins dependencies for a sentence.
func listed(deps []spec.Dependency, word string) string {
	texts := make([]string, len(deps))
	for i, d := range deps {
		texts[i] = d.String()
	}
	return strings.Join(texts, " "+word+" ")
}
