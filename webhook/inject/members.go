package inject

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// member is a container that runs under koordinator, and what it depends on.
type member struct {
	container

	wish      Wish
	before    spec.Spec // what an earlier call has written; Container is "" when there was none
	startDeps []spec.Dependency
	stopDeps  []spec.Dependency
	holdFor   []string // containers for which it holds when the pod is stopped
	source    spec.Source
	restart   spec.Restart
}

// waits reports whether it has anything to wait for.
func (m *member) waits() bool { return len(m.startDeps) > 0 }

// gated reports whether its probes and hooks have to wait with it. The API
// takes none on init containers that run to their end.
func (m *member) gated() bool { return m.waits() && !m.runsToEnd() && !m.wish.NoGate }

// waitsFor reports whether it waits for such a condition of another container.
func (m *member) waitsFor(name string, condition spec.Condition) bool {
	return slices.ContainsFunc(m.startDeps, func(d spec.Dependency) bool {
		return d.Container == name && d.Condition == condition
	})
}

// needs reports whether it has to know anything of another container.
func (m *member) needs(name string) bool {
	same := func(d spec.Dependency) bool { return d.Container == name }
	return slices.Contains(m.holdFor, name) || slices.ContainsFunc(m.startDeps, same) || slices.ContainsFunc(m.stopDeps, same)
}

// reads reports whether it reads the record of another member. It reads none that
// cannot tell by itself when it is ready where that is waited for. With source:
// pod the records only correct the pod's status.
func (m *member) reads(o *member) bool {
	return m.needs(o.Name) && (m.source == spec.SourcePod || !m.waitsFor(o.Name, spec.Ready) || tellsReady(o))
}

// wrappedPeers are the containers whose records it reads.
func (m *member) wrappedPeers(all members) []string {
	var names []string
	for _, o := range all {
		if m.reads(o) {
			names = append(names, o.Name)
		}
	}
	return names
}

// believes reports whether it takes another container's word for what that does,
// and not the kubelet's.
func (m *member) believes(o *member) bool { return m.source != spec.SourcePod && m.reads(o) }

// members are those of a pod, in the order of its containers.
type members []*member

// named is the member of that name, nil when there is none.
func (all members) named(name string) *member {
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// holdFor reports whether any of them holds until the container has exited.
func (all members) holdFor(name string) bool {
	return slices.ContainsFunc(all, func(m *member) bool { return slices.Contains(m.holdFor, name) })
}

// wrappedBefore reports whether an earlier call has wrapped any of them.
func (all members) wrappedBefore() bool {
	return slices.ContainsFunc(all, func(m *member) bool { return m.before.Container != "" })
}

// wanted are those whose commands have to be found out.
func (all members) wanted() []string {
	var names []string
	for _, m := range all {
		if m.wantsCommand() {
			names = append(names, m.Name)
		}
	}
	return names
}

// choose finds the containers to wrap: those that are asked to take part, and
// those that others depend on, where the command is known. Of an init container
// that has ended by then nobody needs to know anything.
func (in *input) choose(holds spec.Graph) members {
	named := map[string]bool{}
	for _, w := range in.asked.Wishes {
		for _, deps := range [][]spec.Dependency{w.Spec.StartDeps, w.Spec.StopDeps} {
			for _, d := range deps {
				named[d.Container] = true
			}
		}
	}
	var all members
	for _, c := range in.containers {
		w := in.asked.wish(c.Name)
		serves := named[c.Name] && !c.runsToEnd() && !in.late(c.Name) && !in.lacks(c.Name)
		if w.TakesPart() || serves {
			all = append(all, in.member(c, w, holds))
		}
	}
	return all
}

// member is what the container depends on.
func (in *input) member(c container, w Wish, holds spec.Graph) *member {
	m := &member{
		container: c, wish: w, before: written(c),
		startDeps: in.open(w.Spec.StartDeps), stopDeps: slices.Clone(w.Spec.StopDeps),
		holdFor: in.holdFor(c, holds), source: w.Spec.Source, restart: c.restart(),
	}
	if m.source == spec.SourceAuto && !m.hasToken() {
		m.source = spec.SourceLocal
	}
	return m
}

// open leaves out the dependencies on init containers that have ended before
// anything waits: they hold by then. So are optional ones on containers that
// neither the pod has nor another webhook adds: they never do.
func (in *input) open(deps []spec.Dependency) []spec.Dependency {
	return slices.DeleteFunc(slices.Clone(deps), func(d spec.Dependency) bool {
		on, found := in.find(d.Container)
		return found && on.runsToEnd() || !found && d.Optional && !in.late(d.Container)
	})
}

// holdFor are the containers for which a container holds. The kubelet stops
// native sidecars after all regular containers, so for them it does it.
func (in *input) holdFor(c container, holds spec.Graph) []string {
	if c.init() {
		return nil
	}
	var names []string
	for _, name := range holds[c.Name] {
		if on, found := in.find(name); found && !on.init() {
			names = append(names, name)
		}
	}
	return names
}

// withEssential is the input with a stop dependency of every other regular
// container on each essential one, but those that start only after it has exited,
// and those that have exited before it starts.
func withEssential(in input, n *Notes) *input {
	essential := slices.DeleteFunc(slices.Clone(in.asked.Essential), func(e Essential) bool { return !in.checkEssential(e, n) })
	if len(essential) == 0 {
		return &in
	}
	after := in.exitsBefore()
	wishes := map[string]Wish{}
	maps.Copy(wishes, in.asked.Wishes)
	for _, c := range in.containers {
		if c.init() {
			continue
		}
		w := in.asked.wish(c.Name)
		for _, e := range essential {
			if c.Name != e.Container && !after[c.Name][e.Container] && !after[e.Container][c.Name] && in.isStopped(c, w, e, n) {
				w = w.stopWith(e)
				wishes[c.Name] = w
			}
		}
	}
	in.asked.Wishes = wishes
	return &in
}

// exitsBefore says of each container which others have exited for good when it
// starts.
func (in *input) exitsBefore() map[string]map[string]bool {
	specs := in.specs()
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
func (in *input) checkEssential(e Essential, n *Notes) bool {
	on, found := in.find(e.Container)
	switch {
	case !found && (e.Label || !in.late(e.Container)):
		n.refuse(e.Place, in.unknown(e.Container))
	case found && on.init():
		n.refuse(e.Place, fmt.Sprintf("%q is an init container, and only a regular one can be essential: name another", e.Container))
	case found && e.Label && on.restarts() == corev1.RestartPolicyAlways:
		n.warn(e.Place, fmt.Sprintf("has no effect: %q is restarted for ever (restartPolicy: Always)", e.Container))
	default:
		return true
	}
	return false
}

// isStopped reports whether an essential container stops another, which may have a
// stop dependency of its own on it.
func (in *input) isStopped(c container, w Wish, e Essential, n *Notes) bool {
	made, byEngine := in.engineOf(c)
	switch {
	case slices.ContainsFunc(w.Spec.StopDeps, func(d spec.Dependency) bool { return d.Container == e.Container }):
	case byEngine:
		n.warn(e.Place, fmt.Sprintf("%q is not stopped: %s ends it itself. To stop it with %q nevertheless, write stop-deps: \"%s: %s\"", c.Name, made.name, e.Container, c.Name, e.Container))
	case in.late(c.Name) && !w.TakesPart():
		n.warn(e.Place, fmt.Sprintf("%q is not stopped: another webhook adds it, and it is not asked to take part", c.Name))
	case e.Label && in.lacks(c.Name):
		n.warn(e.Place, fmt.Sprintf("%q is not stopped: its image decides what is run, and that is not known: %s", c.Name, commandRemedies(c)))
	default:
		return true
	}
	return false
}

// stopWith is the wish with a stop dependency on an essential container.
func (w Wish) stopWith(e Essential) Wish {
	w.Spec.StopDeps = append(slices.Clone(w.Spec.StopDeps), e.Dependency)
	w.Places = maps.Clone(w.Places)
	if w.Places == nil {
		w.Places = map[string]string{}
	}
	if w.Places["stopDeps"] == "" {
		w.Places["stopDeps"] = e.Place
	}
	return w
}
