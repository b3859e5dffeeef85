// Package history describes the history of a pod as a list of events. They come from the
// pod's status, its Kubernetes events and the wrappers' log lines, or from a simulation.
package history

import (
	"cmp"
	"slices"
	"time"
)

// Kind is the kind of an event.
type Kind string

// The kinds of events of a pod and its containers. The wrapper's kinds are the values of
// "event" in its log lines: docs/reference/wrapper.md.
const (
	PodCreated Kind = "pod-created" // the API server accepted the pod
	PodDeleted Kind = "pod-deleted" // its deletion was requested
	PodEnded   Kind = "pod-ended"   // every container has permanently exited
	Created    Kind = "created"     // the container runs, possibly only its wrapper
	Terminated Kind = "terminated"  // the container ended with an exit code, as the kubelet reports
	Cluster    Kind = "cluster"     // a Kubernetes event
	Output     Kind = "output"      // a line of the command's output

	Waiting   Kind = "waiting"
	Dropped   Kind = "dropped"
	Started   Kind = "started"
	NotReady  Kind = "not-ready"
	Ready     Kind = "ready"
	Requested Kind = "stop-requested"
	Held      Kind = "held"
	Delayed   Kind = "delayed"
	Stopping  Kind = "stopping"
	Killing   Kind = "killing"
	Exited    Kind = "exited"
	Ended     Kind = "ended"
)

// Event is one thing that happened.
type Event struct {
	At        time.Time `json:"at"`
	Container string    `json:"container,omitempty"` // "" for the pod as a whole
	Kind      Kind      `json:"kind"`
	Run       int       `json:"run,omitempty"` // incarnation of the container, from 0
	Text      string    `json:"text,omitempty"`

	For       []string `json:"for,omitempty"` // the awaited conditions, for example "proxy to be ready", or names of containers
	StoppedBy []string `json:"stoppedBy,omitempty"`
	Signal    string   `json:"signal,omitempty"`
	ExitCode  int      `json:"exitCode,omitempty"`
	Reason    string   `json:"reason,omitempty"`
}

// Container holds the properties of a container that do not change.
type Container struct {
	Name string `json:"name"`
	Role string `json:"role"` // "init container", "native sidecar", "container"
}

// History is the known history of a pod.
type History struct {
	Pod        string      `json:"pod"`   // namespace/name
	Phase      string      `json:"phase"` // as in the pod's status
	Reason     string      `json:"reason,omitempty"`
	Containers []Container `json:"containers"`
	Events     []Event     `json:"events"`
	Now        time.Time   `json:"now"` // the time at which the history ends
}

// Sort orders the events by time. Events with equal times keep their order.
func (h *History) Sort() {
	slices.SortStableFunc(h.Events, func(a, b Event) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
}
