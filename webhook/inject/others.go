package inject

import (
	"fmt"
	"maps"
	"slices"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// withOthers returns the input with "*" replaced by the names of containers:
// every other regular container, except those that another webhook adds. On the
// left side, "*" does not include the containers that its own value names, and
// those that have their own value.
func withOthers(in input, n *messages.Notes) input {
	if !in.asked.namesOthers() {
		return in
	}
	everyone, named := in.asked.Wishes[spec.AllOthers]
	wishes := maps.Clone(in.asked.Wishes)
	delete(wishes, spec.AllOthers)
	in.asked.Wishes = wishes
	if named {
		in.giveEveryone(everyone)
	}
	for _, name := range slices.Sorted(maps.Keys(wishes)) {
		w := wishes[name]
		w.Spec.StartDeps = in.spread(name, w, "startDeps", w.Spec.StartDeps, n)
		w.Spec.StopDeps = in.spread(name, w, "stopDeps", w.Spec.StopDeps, n)
		wishes[name] = w
	}
	return in
}

// namesOthers reports whether any dependency has "*" on either side.
func (a Asked) namesOthers() bool {
	for name, w := range a.Wishes {
		all := slices.Concat(w.Spec.StartDeps, w.Spec.StopDeps)
		if name == spec.AllOthers || slices.ContainsFunc(all, isAllOthers) {
			return true
		}
	}
	return false
}

// isAllOthers reports whether a dependency is on every other container.
func isAllOthers(d spec.Dependency) bool { return d.Container == spec.AllOthers }

// ordinary returns the containers that "*" stands for.
func (in *input) ordinary() []string {
	var names []string
	for _, c := range in.containers {
		if !c.init() && !in.late(c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// giveEveryone gives every ordinary container the dependencies of "*" that are
// not replaced by its own. It changes the wishes.
func (in *input) giveEveryone(everyone Wish) {
	for _, name := range in.ordinary() {
		w := in.asked.wish(name)
		w.Places = maps.Clone(w.Places)
		if w.Places == nil {
			w.Places = map[string]messages.Place{}
		}
		starts, stops := everyone.Spec.StartDeps, everyone.Spec.StopDeps
		if w.inherits(everyone, "startDeps", name, starts) {
			w.Spec.StartDeps, w.Spec.StartEndpoints = slices.Clone(starts), everyone.Spec.StartEndpoints
		}
		if w.inherits(everyone, "stopDeps", name, stops) {
			w.Spec.StopDeps = slices.Clone(stops)
		}
		if len(w.Places) > 0 {
			in.asked.Wishes[name] = w
		}
	}
}

// inherits reports whether a container gets a list of dependencies of "*", and
// records where the list is set.
func (w Wish) inherits(everyone Wish, field, name string, deps []spec.Dependency) bool {
	place, given := everyone.Places[field]
	_, own := w.Places[field]
	isTarget := slices.ContainsFunc(deps, func(d spec.Dependency) bool { return d.Container == name })
	if !given || own || isTarget {
		return false
	}
	w.Places[field] = place
	return true
}

// spread replaces a dependency on "*" with one on every ordinary container,
// except the container itself and those that the list names.
func (in *input) spread(name string, w Wish, field string, deps []spec.Dependency, n *messages.Notes) []spec.Dependency {
	at := slices.IndexFunc(deps, isAllOthers)
	if at < 0 {
		return deps
	}
	var all []spec.Dependency
	for _, other := range in.ordinary() {
		same := func(d spec.Dependency) bool { return d.Container == other }
		if other != name && !slices.ContainsFunc(deps, same) {
			d := deps[at]
			d.Container = other
			all = append(all, d)
		}
	}
	if len(all) == 0 {
		n.Warn(w.Places[field], messages.NoOthers, spec.AllOthers, fmt.Sprintf(`"*" matches no container, because the pod has no regular container other than %q and those that other webhooks add`, name), "Remove it")
	}
	return slices.Concat(deps[:at], all, deps[at+1:])
}
