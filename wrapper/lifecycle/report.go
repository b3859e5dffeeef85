package lifecycle

import "koordinator.io/koordinator/wrapper/spec"

// Report is the part of a machine's state that its record and its log show.
type Report struct {
	State    State
	For      []string // what the container waits for, for example "proxy to be ready"
	Started  bool
	Stopping bool // it has received a stop request, or may have; after its exit, whether the runtime sent one
	Ending   bool // the wrapper stops the command for a reason of its own, or the command has exited

	// StoppedBy is what stops the container: the containers of the stop
	// dependencies that hold, separated by commas, the signal of the stop request,
	// or a failed hook; "" if nothing stops it.
	StoppedBy string
	Exit      Exit // from Leaving on
}

// Report returns the present report.
func (m *Machine) Report() Report {
	r := Report{State: m.state, Started: m.started, Stopping: m.asked != 0 || m.hinted || m.noted || m.state >= Holding && m.state <= Killing}
	r.Ending = m.cause != nobody && m.state > Running || m.state >= Sweeping
	if r.StoppedBy = m.by; m.by == "" && m.asked != 0 {
		r.StoppedBy = spec.SignalName(m.asked)
	}
	switch m.state {
	case Waiting:
		r.For = m.reasons()
	case Holding:
		for _, name := range m.dependents() {
			r.For = append(r.For, name+" to exit")
		}
	case Leaving, Done:
		r.Exit = m.exit
	default: // neither waiting nor ended
	}
	return r
}
