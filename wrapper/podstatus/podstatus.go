// Package podstatus is what the wrapper and the network program share of the
// pod's status: the facts in it, where it is to be read, and how the one gets
// them from the other. It needs no network itself.
package podstatus

import "time"

// Snapshot holds the facts about every container of the pod by name: init
// containers, native sidecars and regular ones, those without a status yet too.
// Ephemeral containers are left out. As JSON it is what the network program's
// watch task prints after each change.
type Snapshot map[string]Container

// Container is what the pod's status says about one container.
type Container struct {
	Init     bool `json:"init,omitempty"`     // it is an init container or a native sidecar
	Started  bool `json:"started,omitempty"`  // its command has been started at some time; stays true
	Ready    bool `json:"ready,omitempty"`    // runs, and its probes have passed once in this incarnation
	Runs     bool `json:"runs,omitempty"`     // its command runs now
	Stopping bool `json:"stopping,omitempty"` // the pod is being deleted
	Exited   bool `json:"exited,omitempty"`   // exited for good
	Stopped  bool `json:"stopped,omitempty"`  // its wrapper stopped the command or kept it from running: Code is not the command's success
	Code     int  `json:"code,omitempty"`     // exit code when Exited
	// Grace is the pod's terminationGracePeriodSeconds, 0 where it has none.
	Grace time.Duration `json:"grace,omitempty"`
	// StopSignal is the signal by which the runtime stops it, "" where the kubelet
	// does not report it (before Kubernetes 1.33).
	StopSignal string `json:"stopSignal,omitempty"`
	Reason     string `json:"reason,omitempty"` // when Exited without its command ever run, or killed: one sentence why
}
