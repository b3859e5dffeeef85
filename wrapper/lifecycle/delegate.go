package lifecycle

import (
	"fmt"
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// A container without a wrapper is stopped by the wrappers of the containers
// that it depends on. Each of these wrappers decides when it leaves, after it
// has published its own exit. If two of them exit at the same moment, at least
// one therefore sees the other's exit and sends the request. Both may send it:
// a second request is harmless, a missing one is not.

// looked takes the facts that decide the delegated stops.
func (m *Machine) looked(f Facts) []Action {
	if m.state != Leaving || !m.deciding {
		return nil // stale
	}
	m.facts = f
	return m.decide(false)
}

// decide decides the delegated stops from the present facts. It waits for
// missing facts, except the last time: then it gives up the stops that need
// them.
func (m *Machine) decide(last bool) []Action {
	requests := slices.Clone(m.spec.ExitHTTP)
	var acts []Action
	for _, d := range m.spec.Delegated {
		switch m.delegated(d) {
		case holds:
			requests = append(requests, d.Request)
		case pending:
			if !last {
				return nil // LookTimer limits this
			}
			acts = append(acts, Complain{fmt.Sprintf("%s is not stopped: the state of %s is not known", d.Container, m.unknown(d))})
		case impossible: // another wrapper sends the request, or it is not needed
		}
	}
	return append(acts, m.sendExit(requests)...)
}

// unknown names a stop dependency that nothing is known about.
func (m *Machine) unknown(d spec.Delegation) string {
	for _, dep := range d.StopDeps {
		if m.facts[dep.Container].Unheard {
			return dep.Container
		}
	}
	return d.Container
}

// delegated decides one delegated stop. It returns holds if this wrapper must
// send the request, and pending while that is not known.
func (m *Machine) delegated(d spec.Delegation) verdict {
	own := Fact{Exited: true, Code: m.exit.Code, Stopped: m.exit.Stopped}
	met, unheard := 0, false
	for _, dep := range d.StopDeps {
		f := m.facts[dep.Container]
		if dep.Container == m.spec.Container {
			f = own
		}
		v := judge(dep, f)
		if v == holds {
			met++
		}
		unheard = unheard || f.Unheard
		switch {
		case d.StopWhen == spec.StopAll && v == impossible:
			return impossible
		case d.StopWhen == spec.StopAll:
		case v == holds && f.Left: // that container's wrapper sent the request
			return impossible
		case m.asked != 0 && f.Runs && f.Stopping: // the kubelet is stopping the pod
			return impossible
		}
	}
	switch {
	case met == len(d.StopDeps), met > 0 && d.StopWhen != spec.StopAll:
		return holds
	case unheard && d.StopWhen == spec.StopAll:
		return pending
	default:
		return impossible
	}
}
