package lifecycle

import (
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// count records, at the start, how often the containers of restartWith had
// ended.
func (m *monitor) count(s *spec.Spec, facts Facts) {
	for i, name := range s.RestartWith {
		m.counted[i] = facts[name].Ends
	}
}

// recount restarts the count if another counter has taken over, or the number
// has decreased.
func (m *monitor) recount(s *spec.Spec, facts Facts) {
	for i, name := range s.RestartWith {
		now := facts[name].Ends
		if m.started && now.Counter != NotCounted && (now.Counter != m.counted[i].Counter || now.Number < m.counted[i].Number) {
			m.counted[i] = now
		}
	}
}

// hasEnded reports whether a container of restartWith has ended since the
// start. Ends that the status reports while the pod is being deleted do not
// count.
func (m *monitor) hasEnded(s *spec.Spec, facts Facts, i int) bool {
	f := facts[s.RestartWith[i]]
	return m.started && f.Ends.Counter == m.counted[i].Counter && f.Ends.Number > m.counted[i].Number && (!f.Unseen || !f.Stopping)
}

// restarts reports whether the command has to end because another container has
// ended. sure has one bit for each container whose end is no longer doubted.
func (m *monitor) restarts(s *spec.Spec, facts Facts, sure uint8) bool {
	return slices.ContainsFunc(s.RestartWith, func(name string) bool {
		i := slices.Index(s.RestartWith, name)
		return m.hasEnded(s, facts, i) && (!facts[name].Stopping && !facts[name].Mute || sure&(1<<i) != 0)
	})
}

// reason returns why the end of another container would stop the command. A
// certain end takes precedence over a doubted one.
func (m *monitor) reason(s *spec.Spec, facts Facts) owner {
	switch {
	case stops(s, facts, m.believed):
		return dependency
	case m.restarts(s, facts, m.sureEnds):
		return restart
	case stops(s, facts, func(int, Fact) bool { return true }):
		return dependency
	case m.restarts(s, facts, ^uint8(0)):
		return restart
	default:
		return theirs
	}
}
