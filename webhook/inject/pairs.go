package inject

import (
	"fmt"
	"maps"
	"slices"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkPairs is for pods that are too large to be explored. It compares the exits
// that each start implies with the stop dependencies.
func (o order) checkPairs() {
	for _, name := range slices.Sorted(maps.Keys(o.specs)) {
		for _, exit := range spec.ExitsBefore(o.specs, name) {
			if o.Full() {
				return
			}
			o.checkExit(name, exit)
		}
	}
}

// checkExit rejects a start that can never follow an exit, and warns of one that
// hardly ever can.
func (o order) checkExit(name string, exit spec.Exit) {
	place := o.asked.Wishes[name].Places["startDeps"]
	if o.stops.by(name, exit.Dependency) {
		o.refuseAsItStarts(name, exit)
	}
	if o.FullOfWarnings() {
		return // the texts alone would need much memory
	}
	for _, d := range o.specs[name].StartDeps {
		if d.Condition == spec.Ready && !d.Optional && o.stops.by(d.Container, exit.Dependency) {
			o.warnHardlyEver(name, d.Container, exit)
		}
	}
	if o.stops[exit.Container][name] != nil {
		o.Warn(place, messages.MayWaitForever, exit.Dependency.String(),
			fmt.Sprintf("if %q does not exit by itself, %q never starts: it starts only after %q (%s), and %q is stopped only after %q has exited (%s)",
				exit.Container, name, exit.Dependency, arrows(exit.Path), exit.Container, name, o.asked.Wishes[exit.Container].Places["stopDeps"].Name()), removeOne)
	}
}

// removeOne is the remedy for dependencies that contradict each other.
const removeOne = "Remove one of these dependencies"

// refuseAsItStarts rejects a start that requires an exit which also stops the
// container.
func (o order) refuseAsItStarts(name string, exit spec.Exit) {
	wish := o.asked.Wishes[name]
	o.Refuse(wish.Places["startDeps"], messages.StoppedAsItStarts, exit.Dependency.String(),
		fmt.Sprintf("%q would be stopped when it starts: it starts after %q (%s), which also stops it (%s)", name, exit.Dependency, arrows(exit.Path), wish.Places["stopDeps"].Name()), removeOne)
}

// warnHardlyEver warns of a start that requires an exit which stops a container
// that must be ready for the start.
func (o order) warnHardlyEver(name, on string, exit spec.Exit) {
	o.Warn(o.asked.Wishes[name].Places["startDeps"], messages.HardlyEverStarts, exit.Dependency.String(),
		fmt.Sprintf("%q rarely starts: it waits until %q is ready, and for %q (%s), which stops %q (%s)", name, on, exit.Dependency, arrows(exit.Path), on, o.asked.Wishes[on].Places["stopDeps"].Name()), removeOne)
}

// stops contains, for each container, the containers whose exit stops it, with
// the conditions. A container that stops only after several exits has none.
type stops map[string]map[string][]spec.Condition

// stopsOf indexes the stop dependencies, because they are needed for every exit.
func stopsOf(specs map[string]spec.Spec) stops {
	all := stops{}
	for name, s := range specs {
		if len(s.StopDeps) == 0 {
			continue
		}
		on := make(map[string][]spec.Condition, len(s.StopDeps))
		for _, d := range s.StopDeps {
			if s.StopWhen != spec.StopAll || len(s.StopDeps) == 1 {
				on[d.Container] = append(on[d.Container], d.Condition)
			}
		}
		all[name] = on
	}
	return all
}

// by reports whether that exit stops a container.
func (s stops) by(name string, exit spec.Dependency) bool {
	return slices.ContainsFunc(s[name][exit.Container], exit.Condition.Implies)
}
