package inject

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// member is a container that runs under koordinator.
type member struct {
	container

	wish   Wish
	before spec.Spec // what an earlier call has written; Container is "" when there was none
	spec   spec.Spec // what is written
	text   string    // the spec as JSON
}

// waits reports whether it has anything to wait for.
func (m *member) waits() bool { return len(m.spec.StartDeps) > 0 }

// gated reports whether its probes and hooks have to wait with it. The API
// takes none on init containers that run to their end.
func (m *member) gated() bool { return m.waits() && !m.runsToEnd() && !m.wish.NoGate }

// waitsFor reports whether it waits for such a condition of another container.
func (m *member) waitsFor(name string, conditions ...spec.Condition) bool {
	return slices.ContainsFunc(m.spec.StartDeps, func(d spec.Dependency) bool {
		return d.Container == name && slices.Contains(conditions, d.Condition)
	})
}

// believes reports whether it takes another container's word for what that does,
// and not the kubelet's.
func (m *member) believes(name string) bool {
	return m.spec.Source != spec.SourcePod && slices.Contains(m.spec.Wrapped, name)
}

// needs reports whether it has to know anything of another container.
func (m *member) needs(name string) bool {
	same := func(d spec.Dependency) bool { return d.Container == name }
	return slices.Contains(m.spec.HoldFor, name) ||
		slices.ContainsFunc(m.spec.StartDeps, same) || slices.ContainsFunc(m.spec.StopDeps, same)
}

// member is the wrapped container of that name, nil when there is none.
func (j *job) member(name string) *member {
	for _, m := range j.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// late reports whether another webhook adds the container. When it comes must
// not change what we do, so it is wrapped only when it is asked for.
func (j *job) late(name string) bool { return slices.Contains(j.settings.LateSidecars, name) }

// choose finds the containers to wrap: those that are asked to take part, and
// those that others depend on, where the command is known. Of an init container
// that has ended by then nobody needs to know anything.
func (j *job) choose() {
	named := map[string]bool{}
	for _, w := range j.wishes {
		for _, d := range slices.Concat(w.Spec.StartDeps, w.Spec.StopDeps) {
			named[d.Container] = true
		}
	}
	for _, c := range j.containers {
		w := j.wish(c.Name)
		serves := named[c.Name] && !c.runsToEnd() && !j.late(c.Name) && j.commandKnown(c)
		if w.TakesPart() || serves {
			j.members = append(j.members, &member{container: c, wish: w, before: written(c)})
		}
	}
}

// essential gives every other regular container a stop dependency on each
// essential one, but those that start only after it has exited, and those that
// have exited before it starts.
func (j *job) essential(all []Essential) {
	all = slices.DeleteFunc(slices.Clone(all), func(e Essential) bool { return !j.checkEssential(e) })
	if len(all) == 0 {
		return
	}
	after := j.exitsBefore()
	j.wishes = maps.Clone(j.wishes) // the caller's own stay as they are
	for _, c := range j.containers {
		if c.init() {
			continue
		}
		for _, e := range all {
			if c.Name != e.Container && !after[c.Name][e.Container] && !after[e.Container][c.Name] {
				j.stopWith(c, e)
			}
		}
	}
}

// exitsBefore says of each container which others have exited for good when it
// starts.
func (j *job) exitsBefore() map[string]map[string]bool {
	specs := j.specs()
	all := map[string]map[string]bool{}
	for name := range specs {
		all[name] = map[string]bool{}
		for _, exit := range spec.ExitsBefore(specs, name) {
			all[name][exit.Container] = true
		}
	}
	return all
}

// checkEssential reports whether others can be stopped by a container.
func (j *job) checkEssential(e Essential) bool {
	on, found := j.find(e.Container)
	switch {
	case !found && (e.Label || !j.late(e.Container)):
		j.refuse(e.Place, j.unknown(e.Container))
	case found && on.init():
		j.refuse(e.Place, fmt.Sprintf("%q is an init container, and only a regular one can be essential: name another", e.Container))
	case found && e.Label && on.restarts() == corev1.RestartPolicyAlways:
		j.warn(e.Place, fmt.Sprintf("has no effect: %q is restarted for ever (restartPolicy: Always)", e.Container))
	default:
		return true
	}
	return false
}

// stopWith gives a container the stop dependency, unless it has one of its own.
func (j *job) stopWith(c container, e Essential) {
	w := j.wish(c.Name)
	made, byEngine := j.engineOf(c)
	switch {
	case slices.ContainsFunc(w.Spec.StopDeps, func(d spec.Dependency) bool { return d.Container == e.Container }):
		return
	case byEngine:
		j.warn(e.Place, fmt.Sprintf("%q is not stopped: %s ends it itself. To stop it with %q nevertheless, write stop-deps: \"%s: %s\"", c.Name, made.name, e.Container, c.Name, e.Container))
		return
	case j.late(c.Name) && !w.TakesPart():
		j.warn(e.Place, fmt.Sprintf("%q is not stopped: another webhook adds it, and it is not asked to take part", c.Name))
		return
	case e.Label && !j.commandKnown(c):
		j.warn(e.Place, fmt.Sprintf("%q is not stopped: its image decides what is run, and that is not known: %s", c.Name, commandRemedies(c)))
		return
	}
	w.Spec.StopDeps = append(slices.Clone(w.Spec.StopDeps), e.Dependency)
	w.Places = maps.Clone(w.Places)
	if w.Places == nil {
		w.Places = map[string]string{}
	}
	if w.Places["stopDeps"] == "" {
		w.Places["stopDeps"] = e.Place
	}
	if j.wishes == nil {
		j.wishes = map[string]Wish{}
	}
	j.wishes[c.Name] = w
}

// specs are those asked for, of the containers that are there.
func (j *job) specs() map[string]spec.Spec {
	all := map[string]spec.Spec{}
	for _, c := range j.containers {
		if w, asked := j.wishes[c.Name]; asked {
			all[c.Name] = w.Spec
		}
	}
	return all
}
