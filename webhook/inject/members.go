package inject

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// member is a container that runs under koordinator, with its dependencies.
type member struct {
	container

	wish      Wish
	before    spec.Spec // spec that an earlier call has written; Container is "" if there was none
	startDeps []spec.Dependency
	stopDeps  []spec.Dependency
	delegated []spec.Delegation // stops of other containers that it carries out
	holdFor   []string          // containers for which it holds when the pod is stopped
	source    spec.Source
	restart   spec.Restart
}

// waits reports whether the member has start dependencies.
func (m *member) waits() bool { return len(m.startDeps)+len(m.wish.Spec.StartEndpoints) > 0 }

// gated reports whether the member's probes and hooks must wait with it. The API
// does not allow them on init containers that run to completion.
func (m *member) gated() bool {
	return (m.waits() || m.notifies()) && !m.runsToEnd() && !m.wish.NoGate
}

// notifies reports whether the member's command itself reports that it is ready.
func (m *member) notifies() bool { return m.wish.Spec.ReadyWhen == spec.ReadyByNotice }

// restartWith returns the containers with which the member restarts.
func (m *member) restartWith() []string { return m.wish.Spec.RestartWith }

// waitsFor reports whether the member waits for this condition of another
// container.
func (m *member) waitsFor(name string, condition spec.Condition) bool {
	return slices.ContainsFunc(m.startDeps, func(d spec.Dependency) bool {
		return d.Container == name && d.Condition == condition
	})
}

// needs reports whether the member needs any information about another container.
func (m *member) needs(name string) bool {
	same := func(d spec.Dependency) bool { return d.Container == name }
	together := func(d spec.Delegation) bool { return slices.ContainsFunc(d.StopDeps, same) }
	return name != m.Name && (slices.Contains(m.holdFor, name) || slices.Contains(m.restartWith(), name) ||
		slices.ContainsFunc(m.startDeps, same) || slices.ContainsFunc(m.stopDeps, same) || slices.ContainsFunc(m.delegated, together))
}

// reads reports whether the member reads the record of another member. It does
// not read the record if it waits for readiness and the other member cannot
// determine its own readiness. With source: pod, records only correct the pod's
// status.
func (m *member) reads(o *member) bool {
	return m.needs(o.Name) && (m.source == spec.SourcePod || !m.waitsFor(o.Name, spec.Ready) || tellsReady(o))
}

// wrappedPeers returns the containers whose records the member reads.
func (m *member) wrappedPeers(all members) []string {
	var names []string
	for _, o := range all {
		if m.reads(o) {
			names = append(names, o.Name)
		}
	}
	return names
}

// believes reports whether the member relies on another container's record, and
// not on the kubelet, for its state.
func (m *member) believes(o *member) bool { return m.source != spec.SourcePod && m.reads(o) }

// members are the members of a pod, in the order of its containers.
type members []*member

// named returns the member of that name, or nil if there is none.
func (all members) named(name string) *member {
	for _, m := range all {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// holdFor reports whether any of the members holds until the container has
// exited.
func (all members) holdFor(name string) bool {
	return slices.ContainsFunc(all, func(m *member) bool { return slices.Contains(m.holdFor, name) })
}

// wrappedBefore reports whether an earlier call has wrapped any of the members.
func (all members) wrappedBefore() bool {
	return slices.ContainsFunc(all, func(m *member) bool { return m.before.Container != "" })
}

// wanted returns the members whose commands must be looked up.
func (all members) wanted() []string {
	var names []string
	for _, m := range all {
		if m.wantsCommand() {
			names = append(names, m.Name)
		}
	}
	return names
}

// choose returns the containers to wrap: those whose settings require it, and
// dependencies of other containers whose command is known. Init containers that
// have already exited do not need a wrapper as dependencies.
func (in *input) choose(holds spec.Graph) members {
	named := map[string]bool{}
	for _, w := range in.asked.Wishes {
		for _, deps := range [][]spec.Dependency{w.Spec.StartDeps, w.Spec.StopDeps} {
			for _, d := range deps {
				named[d.Container] = true
			}
		}
		for _, name := range w.Spec.RestartWith {
			named[name] = true
		}
	}
	var all members
	for _, c := range in.containers {
		if _, delegated := in.delegated[c.Name]; delegated {
			continue
		}
		w := in.asked.wish(c.Name)
		relieved := in.relieved[c.Name] && written(c).Container != "" // an earlier call, before the sidecar was there, has wrapped it
		serves := relieved || len(in.carriedOutBy(c)) > 0 || named[c.Name] && !c.runsToEnd() && !in.late(c.Name) && !in.lacks(c.Name)
		if w.TakesPart() || serves {
			all = append(all, in.member(c, w, holds))
		}
	}
	return all
}

// member returns the container with its dependencies.
func (in *input) member(c container, w Wish, holds spec.Graph) *member {
	m := &member{
		container: c, wish: w, before: written(c),
		startDeps: in.open(w.Spec.StartDeps), stopDeps: slices.Clone(w.Spec.StopDeps),
		delegated: in.carriedOutBy(c), holdFor: in.holdFor(c, holds), source: w.Spec.Source, restart: c.restart(),
	}
	if m.source == spec.SourceAuto && !m.hasToken() {
		m.source = spec.SourceLocal
	}
	return m
}

// open omits the dependencies on init containers that have exited before anything
// waits, because these are already met. It also omits optional dependencies on
// containers that are neither in the pod nor added by another webhook, because
// these are never met.
func (in *input) open(deps []spec.Dependency) []spec.Dependency {
	return slices.DeleteFunc(slices.Clone(deps), func(d spec.Dependency) bool {
		on, found := in.find(d.Container)
		return found && on.runsToEnd() || !found && d.Optional && !in.late(d.Container)
	})
}

// holdFor returns the containers for which a container holds. It omits native
// sidecars, because the kubelet stops them after all regular containers.
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

// withEssential returns the input with a stop dependency of every other regular
// container on each essential one. It omits containers that start only after the
// essential one has exited, and containers that have exited before it starts.
func withEssential(in input, n *messages.Notes) *input {
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

// exitsBefore returns, for each container, the containers that have permanently
// exited when it starts.
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

// checkEssential reports whether a container can stop others.
func (in *input) checkEssential(e Essential, n *messages.Notes) bool {
	on, found := in.find(e.Container)
	switch {
	case !found && (e.Label || !in.late(e.Container)):
		in.refuseMissing(e.Place, e.Container, n)
	case found && on.init():
		n.Refuse(e.Place, messages.EssentialInit, e.Container, fmt.Sprintf("%q is an init container, and only a regular container can be essential", e.Container), "Name a regular container")
	case found && e.Label && on.restarts() == corev1.RestartPolicyAlways:
		n.Warn(e.Place, messages.EssentialAlways, e.Container, fmt.Sprintf("the label has no effect, because %q always restarts (restartPolicy: Always)", e.Container), "Remove the label, or set another restartPolicy")
	default:
		return true
	}
	return false
}

// isStopped reports whether an essential container stops another one. The other
// one may already have its own stop dependency on it.
func (in *input) isStopped(c container, w Wish, e Essential, n *messages.Notes) bool {
	made, byEngine := in.engineOf(c)
	switch {
	case slices.ContainsFunc(w.Spec.StopDeps, func(d spec.Dependency) bool { return d.Container == e.Container }):
	case byEngine:
		n.Warn(e.Place, messages.EssentialStopsNot, c.Name, fmt.Sprintf("%q is not stopped when %q exits, because %s stops it", c.Name, e.Container, made.name),
			fmt.Sprintf("To stop it nevertheless, set stop-deps: \"%s: %s\"", c.Name, e.Container))
	case in.late(c.Name) && !w.TakesPart():
		n.Warn(e.Place, messages.EssentialStopsNot, c.Name, fmt.Sprintf("%q is not stopped when %q exits, because another webhook adds it and it has no setting of its own", c.Name, e.Container),
			fmt.Sprintf("To stop it, set stop-deps: \"%s: %s\"", c.Name, e.Container))
	case e.Label && in.lacks(c.Name):
		n.Warn(e.Place, messages.EssentialStopsNot, c.Name, fmt.Sprintf("%q is not stopped when %q exits, because its command is unknown", c.Name, e.Container), commandRemedies(c))
	default:
		return true
	}
	return false
}

// stopWith returns the wish with a stop dependency on an essential container.
func (w Wish) stopWith(e Essential) Wish {
	w.Spec.StopDeps = append(slices.Clone(w.Spec.StopDeps), e.Dependency)
	w.Places = maps.Clone(w.Places)
	if w.Places == nil {
		w.Places = map[string]messages.Place{}
	}
	if w.Places["stopDeps"].None() {
		w.Places["stopDeps"] = e.Place
	}
	return w
}
