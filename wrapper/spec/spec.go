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
	EnvPodIP        = "KOORDINATOR_POD_IP"        // where probes without a host go; optional, else 127.0.0.1
)

// Paths inside an injected container. All lie under one reserved directory, in
// separate mounts beside each other: a mount inside a read-only one could not
// be made.
const (
	Root         = "/koordinator"          // reserved for us in wrapped containers
	BinDir       = Root + "/bin"           // the binary's volume, read-only
	Binary       = BinDir + "/koordinator" // the wrapper
	PodinfoDir   = Root + "/podinfo"       // downward API: files name, namespace
	RecordDir    = Root + "/record"        // this container's record, its own to write
	PeersDir     = Root + "/peers"         // every container's record under its name, read-only
	OwnAPIAccess = Root + "/api"           // token and CA of our own, where the pod itself has no API access
	HBTPodinfo   = "/etc/podinfo"          // where HBT koordinator's manifests mount the same files
	BinaryName   = "koordinator"           // file name the installer writes
	APIAccess    = "/var/run/secrets/kubernetes.io/serviceaccount"
	Message      = "/dev/termination-log" // the kubelet's default terminationMessagePath
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

// StoppedBy begins the termination message of a container whose command the
// wrapper stopped. A peer that reads it in the pod's status knows that exit code
// 0 is not the command's success.
const StoppedBy = "koordinator: stopped: "

// The probes that "koordinator probe" answers.
const (
	LivenessProbe  = "liveness"
	ReadinessProbe = "readiness"
)

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

// StopWhen says how many stop dependencies have to hold.
type StopWhen string

// The ways to combine stop dependencies.
const (
	StopAny StopWhen = "any" // the first that holds stops the command
	StopAll StopWhen = "all" // all have to hold at the same moment
)

// OnTimeout says what follows when startTimeout passes.
type OnTimeout string

// What can follow.
const (
	TimeoutFail  OnTimeout = "fail"  // the wrapper exits with ExitStartTimeout
	TimeoutStart OnTimeout = "start" // the command is started all the same
)

// Mode says what becomes of the wrapper once the command may start.
type Mode string

// The modes.
const (
	Supervise Mode = "supervise" // it runs the command as its child
	ExecMode  Mode = "exec"      // the command takes its place
)

// Source says where facts about other containers come from.
type Source string

// The sources.
const (
	SourceAuto  Source = "auto"  // records of those that keep one, else the pod's status
	SourcePod   Source = "pod"   // the pod's status alone
	SourceLocal Source = "local" // records alone: no request to the API server
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
	StartDeps []Dependency
	StopDeps  []Dependency

	StopWhen       StopWhen
	StartTimeout   time.Duration // from the wrapper's start; 0: wait for ever
	OnStartTimeout OnTimeout
	StopDelay      time.Duration  // between the pod's stop request and passing it on
	StopSignal     syscall.Signal // 0: SIGTERM, or the signal by which the pod's stop request came
	StopTimeout    time.Duration  // from our stop signal to SIGKILL
	StopHTTP       *Request       // sent instead of the signal when stop dependencies hold; nil: none
	ExitHTTP       []Request      // sent after the command exited for good

	DependencySignal syscall.Signal // sent instead of StopSignal for a stop dependency; 0: StopSignal

	StoppedExitCode ExitCode // reported when we stopped the command and it ended in time
	KilledExitCode  ExitCode // reported when we had to kill it

	Mode     Mode
	LogLevel string // error, info or debug

	Source  Source
	Wrapped []string // those of the dependencies that keep a record, and those in HoldFor that do

	// What only the webhook knows; all of it may be missing.

	Container     string         // own name
	Restart       Restart        // when an exit of this container is for good
	HoldFor       []string       // containers that have to exit before this one when the pod is stopped
	GracePeriod   time.Duration  // the pod's terminationGracePeriodSeconds; 0: not known
	ProbeGrace    time.Duration  // the shortest terminationGracePeriodSeconds of its own probes; 0: none has one
	ReadyProbes   []Probe        // have to pass, in this order, before others may be told that it is ready
	StartupProbe  *Probe         // the container's own, asked by the gate
	LivenessDelay time.Duration  // initialDelaySeconds of its liveness probe
	Liveness      *Probe         // the container's own, run by "koordinator probe liveness"; nil: left to the kubelet
	Readiness     *Probe         // likewise
	PostStart     *Handler       // run right after the start
	PreStop       *Handler       // run before the command is asked to stop for a stop dependency
	RequestSignal syscall.Signal // by which the runtime asks this container to stop; 0: not known
	MessagePath   string         // the container's terminationMessagePath

	// Environ are variables of the command that the wrapper, which is a Go program,
	// must not have itself: GODEBUG and the like.
	Environ map[string]string

	// Commands are words that come before the wrapper's arguments, by the node's
	// platform ("linux/amd64", "linux/arm/v7"), where an image runs something
	// else on each; nil where it does not.
	Commands map[string][]string
}

// Default is the spec of an empty JSON object.
func Default() Spec {
	return Spec{
		StopWhen:       StopAny,
		OnStartTimeout: TimeoutFail,
		StopTimeout:    DefaultStopTimeout,
		KilledExitCode: DefaultKilledExitCode,
		Mode:           Supervise,
		LogLevel:       DefaultLogLevel,
		Source:         SourceAuto,
		MessagePath:    Message,
	}
}
