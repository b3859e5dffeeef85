// Package spec is the contract between the webhook and the wrapper: what a
// container is told (Spec), by which names and paths the two find each other,
// and the exit codes users see. It needs the standard library only, since both
// binaries link it.
package spec

import (
	"syscall"
	"time"
)

// Version is the spec version this build writes. It reads this one and, in a
// spec written by hand, none at all.
const Version = 1

// Names of the environment variables the wrapper reads. None of them reaches
// the command.
const (
	Env             = "KOORDINATOR_SPEC"          // the spec, JSON
	EnvMisspelt     = "KOOORDINATOR_SPEC"         // as the README of HBT koordinator spells it
	EnvPodName      = "KOORDINATOR_POD_NAME"      // optional, else the file "name" of a podinfo directory
	EnvPodNamespace = "KOORDINATOR_POD_NAMESPACE" // optional, else the file "namespace" of a podinfo directory
)

// Paths inside an injected container. All lie under one reserved directory, in
// separate mounts beside each other: a mount inside a read-only one could not
// be made.
const (
	Root       = "/koordinator"          // reserved for us in wrapped containers
	BinDir     = Root + "/bin"           // the binary's volume, read-only
	Binary     = BinDir + "/koordinator" // the wrapper
	PodinfoDir = Root + "/podinfo"       // downward API: files name, namespace
	RecordDir  = Root + "/record"        // this container's record, its own to write
	HBTPodinfo = "/etc/podinfo"          // where HBT koordinator's manifests mount the same files
	BinaryName = "koordinator"           // file name the installer writes
	APIAccess  = "/var/run/secrets/kubernetes.io/serviceaccount"
	Message    = "/dev/termination-log" // the kubelet's default terminationMessagePath
)

// Exit codes of the wrapper's own. Any other code is the command's: 0–255 as
// it exited, 128+n when signal n ended it.
const (
	ExitBadConfig     = 64  // the spec or the command line is wrong
	ExitUnsatisfiable = 69  // a start dependency can no longer come true
	ExitStartTimeout  = 124 // startTimeout passed while waiting
	ExitNotExecutable = 126 // the command was found but could not be run
	ExitNotFound      = 127 // the command was not found
	ExitStopped       = 143 // stopped while waiting: the command never ran
)

// NotStarted begins the termination message of a wrapper whose command never
// ran. A peer that reads it in the pod's status knows that "started" never
// came true, and passes the rest on as the reason.
const NotStarted = "koordinator: command not started: "

// Defaults of fields that a spec leaves out.
const (
	DefaultStopTimeout    = 30 * time.Second
	DefaultLogLevel       = "info"
	DefaultKilledExitCode = ExitCode(137) // a spec written by hand; the webhook writes 0
)

// Condition is what a dependency waits for in its container.
type Condition string

// The conditions. Start dependencies take the first four, stop dependencies
// the last three.
const (
	Started   Condition = "started"   // its command has been started; stays true
	Ready     Condition = "ready"     // started, and its probes have passed once in this incarnation
	Exited    Condition = "exited"    // exited for good, any code
	Succeeded Condition = "succeeded" // exited for good with code 0
	Failed    Condition = "failed"    // exited for good with another code, or was killed
)

// Dependency names another container of the pod and a condition of it.
type Dependency struct {
	Container string
	Condition Condition
	Optional  bool // start dependencies only: dropped when it can no longer come true
}

// String is the dependency as a user writes it: "migrate=succeeded", "cache=ready?".
func (d Dependency) String() string {
	s := d.Container + "=" + string(d.Condition)
	if d.Optional {
		s += "?"
	}
	return s
}

// ExitCode is a reported exit code, 0–255, or Child.
type ExitCode int

// Child stands for the command's own exit code.
const Child ExitCode = -1

// Or is c, or child where c is Child.
func (c ExitCode) Or(child int) int {
	if c == Child {
		return child
	}
	return int(c)
}

// Spec is one container's instructions. Parse fills in every default; a Spec
// made by hand is written by Encode as it stands.
type Spec struct {
	Container string // own container name; empty in a spec written by hand

	StartDeps []Dependency
	StopDeps  []Dependency // any of them stops the command

	StartTimeout time.Duration  // from the wrapper's start; 0: wait for ever
	StopDelay    time.Duration  // between the pod's stop request and passing it on
	StopSignal   syscall.Signal // 0: SIGTERM, or the signal by which the pod's stop request came
	StopTimeout  time.Duration  // from our stop signal to SIGKILL

	DependencySignal syscall.Signal // sent instead of StopSignal for a stop dependency; 0: StopSignal

	StoppedExitCode ExitCode // reported when we stopped the command and it ended in time
	KilledExitCode  ExitCode // reported when we had to kill it

	RequestSignal syscall.Signal // by which the runtime asks this container to stop; 0: not known
	MessagePath   string         // the container's terminationMessagePath
	LogLevel      string         // error, info or debug
}

// Default is the spec of an empty JSON object.
func Default() Spec {
	return Spec{
		StopTimeout:    DefaultStopTimeout,
		KilledExitCode: DefaultKilledExitCode,
		MessagePath:    Message,
		LogLevel:       DefaultLogLevel,
	}
}
