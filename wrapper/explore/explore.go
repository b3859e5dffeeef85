// Package explore predicts the possible outcomes of a pod whose containers wait
// for each other and stop each other. It follows every run of the pod in a
// model of the wrapper's state machine in which facts are always correct and
// known immediately: a command exits with 0 or with another code at any time,
// becomes ready or not, and is started again according to its restart policy.
// The pod itself is not stopped.
package explore

import (
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// Bounds of the pods that are explored. A pod within them takes at most 2 ms,
// and a Job with a sidecar about ten microseconds.
const (
	mostContainers = 12
	mostStates     = 1500 // over all explorations of one pod
)

// Result is the set of possible outcomes for a pod's containers, by name.
type Result struct {
	Starts   map[string]bool // its command runs in some run of the pod
	Promptly map[string]bool // also if a container that is to stop always exits before anything else happens
	Ends     map[string]bool // it permanently exits in some run, or its restart policy never allows that
	Hangs    []Hang          // at most one per container, in the order of the containers
}

// Hang is a run after which a container never ends, or waits and never starts,
// regardless of later events.
type Hang struct {
	Container string
	Waits     bool   // its command never starts; otherwise it is repeatedly started, or kept from starting
	Forever   string // a container whose command does not exit by itself in this run; "" for none
	Exits     []Exit // the exits up to that point, in order
}

// Exit is one exit of a container in a run.
type Exit struct {
	Container string
	Success   bool // the command's own code was 0
	Stopped   bool // it was stopped, or kept from running
}

// Pod explores a pod of these containers. Each spec contains the container's
// name, dependencies, restart policy and exit codes. A container that only
// others depend on has a spec without dependencies. ok is false if the pod is
// too large.
func Pod(specs []spec.Spec) (result Result, ok bool) {
	if len(specs) > mostContainers {
		return result, false
	}
	m := newModel(specs)
	left := mostStates
	free, ok := m.explore(nobody, false, &left)
	if !ok {
		return result, false
	}
	prompt := free
	if slices.ContainsFunc(m.containers, func(c container) bool { return c.ended }) {
		if prompt, ok = m.explore(nobody, true, &left); !ok {
			return result, false
		}
	}
	result = Result{Starts: map[string]bool{}, Promptly: map[string]bool{}, Ends: map[string]bool{}}
	for i, c := range m.containers {
		result.Starts[c.name] = free.ever(i, running)
		result.Promptly[c.name] = prompt.ever(i, running)
		result.Ends[c.name] = !c.canEnd() || free.ever(i, succeeded)
	}
	hangs := make([]*Hang, len(specs))
	free.hangs(hangs)
	for i, c := range m.containers {
		if len(c.stop) == 0 || !c.ended {
			continue
		}
		lasting, ok := m.explore(i, false, &left)
		if !ok {
			return result, false
		}
		lasting.hangs(hangs)
	}
	for _, h := range hangs {
		if h != nil {
			result.Hangs = append(result.Hangs, *h)
		}
	}
	return result, true
}
