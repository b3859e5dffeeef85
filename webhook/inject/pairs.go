package inject

import (
	"fmt"
	"maps"
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// checkPairs compares, in a pod that is too large to be explored, the exits that
// each start implies with the stop dependencies.
func (o order) checkPairs() {
	for _, name := range slices.Sorted(maps.Keys(o.specs)) {
		for _, exit := range spec.ExitsBefore(o.specs, name) {
			if o.full() {
				return
			}
			o.checkExit(name, exit)
		}
	}
}

// checkExit refuses what can never follow an exit, and warns of what hardly can.
func (o order) checkExit(name string, exit spec.Exit) {
	place := o.asked.Wishes[name].Places["startDeps"]
	if o.stops.by(name, exit.Dependency) {
		o.refuse(place, o.asItStarts(name, exit))
	}
	if o.fullOfWarnings() {
		return // the texts alone would take much memory
	}
	for _, d := range o.specs[name].StartDeps {
		if d.Condition == spec.Ready && !d.Optional && o.stops.by(d.Container, exit.Dependency) {
			o.warn(place, o.hardlyEver(name, d.Container, exit))
		}
	}
	if o.stops[exit.Container][name] != nil {
		o.warn(place, fmt.Sprintf("%q starts only after %q (%s), but %q is stopped by the exit of %q (%s): if %q does not exit by itself, %q never starts",
			name, exit.Dependency, arrows(exit.Path), exit.Container, name, o.asked.Wishes[exit.Container].Places["stopDeps"], exit.Container, name))
	}
}

// asItStarts says that an exit comes before a start and keeps it from happening.
func (o order) asItStarts(name string, exit spec.Exit) string {
	return fmt.Sprintf("%q starts after %q (%s) and is stopped by it (%s): it would be stopped as it starts: remove one of the two", name, exit.Dependency, arrows(exit.Path), o.asked.Wishes[name].Places["stopDeps"])
}

// hardlyEver says that an exit that comes before a start stops a container that
// has to be ready.
func (o order) hardlyEver(name, on string, exit spec.Exit) string {
	return fmt.Sprintf("%q starts when %q is ready and after %q (%s), whose exit stops %q (%s): the two hardly ever hold at once: remove one of them", name, on, exit.Dependency, arrows(exit.Path), on, o.asked.Wishes[on].Places["stopDeps"])
}

// stops says of each container which others it stops with, and when. One that
// stops only after several exits stops with none of them.
type stops map[string]map[string][]spec.Condition

// stopsOf sorts the stop dependencies, which are looked at for every exit.
func stopsOf(specs map[string]spec.Spec) stops {
	all := stops{}
	for name, s := range specs {
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
