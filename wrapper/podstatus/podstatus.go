// Package podstatus is the part of the pod's status that the wrapper and the
// network program share: its facts, the access to the API server, and the
// transfer from the program to the wrapper. It does not use the network itself.
package podstatus

import "time"

// Snapshot contains the facts about every container of the pod by name: init
// containers, native sidecars and regular containers, including those without a
// status so far. Ephemeral containers are omitted. As JSON it is the output of
// the network program's watch task after each change.
type Snapshot map[string]Container

// Container is the state of one container according to the pod's status.
type Container struct {
	Init     bool `json:"init,omitempty"`     // it is an init container or a native sidecar
	Started  bool `json:"started,omitempty"`  // its command has been started at some point; stays true
	Ready    bool `json:"ready,omitempty"`    // it runs, and its probes have passed at least once in this incarnation
	Runs     bool `json:"runs,omitempty"`     // its command runs now
	Stopping bool `json:"stopping,omitempty"` // the pod is being deleted
	Exited   bool `json:"exited,omitempty"`   // permanently exited
	Stopped  bool `json:"stopped,omitempty"`  // its wrapper stopped the command or kept it from running: Code does not indicate success
	Code     int  `json:"code,omitempty"`     // exit code, if Exited
	Ends     int  `json:"ends,omitempty"`     // how many incarnations have ended
	// Grace is the pod's terminationGracePeriodSeconds, or 0 if it has none.
	Grace time.Duration `json:"grace,omitempty"`
	// StopSignal is the signal with which the runtime stops the container, or ""
	// if the kubelet does not report it (before Kubernetes 1.33).
	StopSignal string `json:"stopSignal,omitempty"`
	Reason     string `json:"reason,omitempty"` // if Exited without a start of the command, or killed: the reason, in one sentence
}
