package lifecycle

import "slices"

// Counter is the source of a number of ends. Numbers from different counters
// cannot be compared.
type Counter uint8

// The counters.
const (
	NotCounted Counter = iota // nothing is known
	ByRecord                  // the container's records count the starts of its command
	ByStatus                  // the pod's status counts its incarnations
)

// Ends is how often a container's command has ended.
type Ends struct {
	Counter Counter
	Number  int
}

// countEnds records, when the command starts, how often the containers of
// RestartWith have ended, according to the facts that led to the start.
func (m *Machine) countEnds() {
	m.ends = nil
	for _, name := range m.spec.RestartWith {
		m.ends = append(m.ends, m.facts[name].Ends)
	}
}

// recount restarts the count if another counter has taken over or a counter was
// reset, because earlier numbers are then meaningless.
func (m *Machine) recount() {
	for i := range m.ends {
		now := m.facts[m.spec.RestartWith[i]].Ends
		before := m.ends[i]
		if now.Counter != NotCounted && (now.Counter != before.Counter || now.Number < before.Number) {
			m.ends = slices.Clone(m.ends)
			m.ends[i] = now
		}
	}
}

// hasEnded reports whether a container of RestartWith has ended since the
// command's start. An end that the status reports while the pod is being
// deleted does not count.
func (m *Machine) hasEnded(i int) bool {
	f, start := m.facts[m.spec.RestartWith[i]], m.ends[i]
	return f.Ends.Counter == start.Counter && f.Ends.Number > start.Number && (!f.Unseen || !f.Stopping)
}

// maybeDeleted reports whether a container may have ended because the pod is
// being deleted.
func (m *Machine) maybeDeleted(name string) bool { return m.facts[name].Stopping || m.facts[name].Mute }

// restartDue returns the name of a container of RestartWith that has ended
// since the command's start, or "". It also reports whether it is too early to
// act on that: a container that ended after a stop request may have been
// stopped with the whole pod.
func (m *Machine) restartDue() (name string, doubted bool) {
	for i := range m.ends {
		if !m.hasEnded(i) {
			continue
		}
		name = m.spec.RestartWith[i]
		if doubted = m.maybeDeleted(name) && !slices.Contains(m.believed, name); !doubted {
			return name, false
		}
	}
	return name, doubted
}

// believeEnds resolves the doubts about containers that have ended.
func (m *Machine) believeEnds() {
	for i := range m.ends {
		if name := m.spec.RestartWith[i]; m.hasEnded(i) && m.maybeDeleted(name) && !slices.Contains(m.believed, name) {
			m.believed = append(m.believed, name)
		}
	}
}

// watched returns the containers whose end may stop the command.
func (m *Machine) watched() []string {
	var names []string
	for _, d := range m.spec.StopDeps {
		names = append(names, d.Container)
	}
	for _, name := range m.spec.RestartWith {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
