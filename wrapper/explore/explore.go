// Package explore decides what can become of a pod whose containers wait for
// each other and stop each other. It follows every run of the pod in a model of
// the wrapper's state machine in which facts are true and known at once: a
// command exits with 0 or with another code whenever it likes, becomes ready or
// not, and is started again by its restart policy. The pod itself is not stopped.
package explore

import (
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// Bounds of a pod that is explored: what lies within takes 2 ms at the most, and
// a Job with a sidecar some ten microseconds.
const (
	mostContainers = 12
	mostStates     = 1500 // of all explorations of one pod
)

// Result is what can become of a pod's containers, by name.
type Result struct {
	Starts   map[string]bool // its command runs in some run of the pod
	Promptly map[string]bool // also where a container that is to stop has exited before anything else happens
	Ends     map[string]bool // it exits for good in some run, or its restart policy has it never do so
	Hangs    []Hang          // at most one for each container, in the order of the containers
}

// Hang is a run after which a container never ends, or waits and never starts,
// whatever happens next.
type Hang struct {
	Container string
	Waits     bool   // its command never starts; else it is started, or kept from it, again and again
	Forever   string // a container whose command does not exit by itself in this run, "" for none
	Exits     []Exit // what has happened by then, in order
}

// Exit is one exit of a container in a run.
type Exit struct {
	Container string
	Success   bool // the command's own code was 0
	Stopped   bool // it was stopped, or kept from running
}

// Pod explores a pod of these containers. Each has its name, its dependencies,
// its restart policy and its exit codes in its spec; one that is only depended
// on has the spec of a container without dependencies. It is not ok when the pod
// is too large.
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
