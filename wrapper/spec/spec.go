// Package spec is the contract between the webhook and the wrapper: a
// container's instructions (Spec), the names and paths that both use, and the
// exit codes that users see. It uses only the standard library, because both
// binaries link it.
package spec

import (
	"syscall"
	"time"
)

// Names of the environment variables that the wrapper reads. The command does
// not receive them.
const (
	Env             = "KOORDINATOR_SPEC"          // the spec, JSON
	EnvMisspelt     = "KOOORDINATOR_SPEC"         // the spelling in the README of HBT koordinator
	EnvPodName      = "KOORDINATOR_POD_NAME"      // optional; default: the file "name" in a podinfo directory
	EnvPodNamespace = "KOORDINATOR_POD_NAMESPACE" // optional; default: the file "namespace" in a podinfo directory
	EnvPodIP        = "KOORDINATOR_POD_IP"        // the target of probes without a host; optional; default: 127.0.0.1
)

// Paths in an injected container. All are below one reserved directory, in
// separate mounts next to each other, because nothing can be mounted inside a
// read-only mount.
const (
	Root         = "/koordinator"          // reserved for koordinator in wrapped containers
	BinDir       = Root + "/bin"           // the volume with the binaries, read-only
	Binary       = BinDir + "/koordinator" // the wrapper
	PodinfoDir   = Root + "/podinfo"       // downward API: files name, namespace
	RecordDir    = Root + "/record"        // this container's record, writable
	PeersDir     = Root + "/peers"         // every container's record, by container name, read-only
	OwnAPIAccess = Root + "/api"           // koordinator's own token and CA, if the pod has no API access
	HBTPodinfo   = "/etc/podinfo"          // the mount path of the same files in HBT koordinator's manifests
	BinaryName   = "koordinator"           // the file name that "koordinator install" writes
	APIAccess    = "/var/run/secrets/kubernetes.io/serviceaccount"
	Message      = "/dev/termination-log" // the kubelet's default terminationMessagePath
)

// The wrapper's own exit codes. All other codes are the command's: 0–255 as it
// exited, or 128+n if signal n ended it.
const (
	ExitBadConfig     = 64  // the spec or the command line is invalid
	ExitUnsatisfiable = 69  // a start dependency can no longer hold
	ExitRestart       = 75  // stopped because a container of restartWith ended; the kubelet starts the container again
	ExitEnvFile       = 78  // an env file cannot be used: the command never ran
	ExitStartTimeout  = 124 // startTimeout passed while waiting
	ExitNotExecutable = 126 // the command was found but could not be run
	ExitNotFound      = 127 // the command was not found
	ExitStopped       = 143 // stopped while waiting: the command never ran
)

// NotStarted is the beginning of the termination message of a wrapper whose
// command never ran. From this message in the pod's status, a peer concludes
// that "started" never held, and shows the rest of the message as the reason.
const NotStarted = "koordinator: command not started: "

// Sign is the beginning of every termination message that koordinator writes.
const Sign = "koordinator: "

// HeldTooLong is the termination message of a container whose stop request was
// held for others until the grace period left no more time, and whose command
// left no message of its own. The leader's metrics count it.
const HeldTooLong = Sign + "stopped before the containers that depend on it had exited: the grace period left no more time to hold the stop request"

// StoppedBy is the beginning of the termination message of a container whose
// command the wrapper stopped. From this message in the pod's status, a peer
// concludes that exit code 0 does not mean success.
const StoppedBy = "koordinator: stopped: "

// KilledBy is the beginning of the termination message of a container whose
// command the wrapper killed, or failed to kill.
const KilledBy = "koordinator: killed: "

// The probes that "koordinator probe" runs.
const (
	LivenessProbe  = "liveness"
	ReadinessProbe = "readiness"
)

// Defaults of fields that a spec leaves out.
const (
	DefaultStopTimeout    = 30 * time.Second
	DefaultLogLevel       = "info"
	DefaultKilledExitCode = ExitCode(137) // for a spec written by hand; the webhook writes 0
)

// AllOthers stands for every other regular container in an annotation.
const AllOthers = "*"

// Condition is what a dependency requires of its container.
type Condition string

// The conditions. Start dependencies accept the first four, stop dependencies
// the last three.
const (
	Started   Condition = "started"   // its command has started; stays true
	Ready     Condition = "ready"     // started, and its probes have passed at least once in this incarnation
	Exited    Condition = "exited"    // permanently exited, with any code
	Succeeded Condition = "succeeded" // permanently exited with code 0, and not stopped by its wrapper
	Failed    Condition = "failed"    // permanently exited in any other way
)

// StopWhen is how many stop dependencies must hold.
type StopWhen string

// The ways to combine stop dependencies.
const (
	StopAny StopWhen = "any" // the first one that holds stops the command
	StopAll StopWhen = "all" // all must hold at the same time
)

// OnTimeout is what happens when startTimeout passes.
type OnTimeout string

// The actions after a start timeout.
const (
	TimeoutFail  OnTimeout = "fail"  // the wrapper exits with ExitStartTimeout
	TimeoutStart OnTimeout = "start" // the command starts anyway
)

// ReadyWhen is what makes a container ready for its dependents.
type ReadyWhen string

// The ways to become ready.
const (
	ReadyByProbes ReadyWhen = "probes" // its startup and readiness probes have passed
	ReadyByNotice ReadyWhen = "notify" // its command has sent READY=1 to NOTIFY_SOCKET (sd_notify(3))
)

// NoNotice is the reason why a container whose command has not sent READY=1 is
// not ready.
const NoNotice = "no READY=1 on NOTIFY_SOCKET yet"

// Mode is how the wrapper runs the command.
type Mode string

// The modes.
const (
	Supervise Mode = "supervise" // as its child
	ExecMode  Mode = "exec"      // in its own place: the command replaces the wrapper
)

// Source is where facts about other containers come from.
type Source string

// The sources.
const (
	SourceAuto  Source = "auto"  // records of containers that have one, otherwise the pod's status
	SourcePod   Source = "pod"   // only the pod's status
	SourceLocal Source = "local" // only records: no request to the API server
)

// Dependency is another container of the pod with a condition.
type Dependency struct {
	Container string
	Condition Condition
	Optional  bool // start dependencies only: dropped when it can no longer hold, or when the start timeout passes
}

// String returns the dependency as a user writes it: "migrate=succeeded",
// "cache=ready?".
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

// Or returns c, or child if c is Child.
func (c ExitCode) Or(child int) int {
	if c == Child {
		return child
	}
	return int(c)
}

// Spec contains one container's instructions. Parse fills in every default;
// Encode writes a Spec made by hand unchanged.
type Spec struct {
	StartDeps []Dependency
	StopDeps  []Dependency

	StartEndpoints []Endpoint // the endpoints among the start dependencies

	StopWhen       StopWhen
	StartTimeout   time.Duration // from the wrapper's start; 0: no limit
	OnStartTimeout OnTimeout
	StopDelay      time.Duration  // between the pod's stop request and its forwarding to the command
	StopSignal     syscall.Signal // 0: SIGTERM, or the signal of the pod's stop request
	StopTimeout    time.Duration  // from the wrapper's stop request to SIGKILL
	StopHTTP       *Request       // sent instead of the signal when another container stops the command; nil: none
	ExitHTTP       []Request      // sent after the container has permanently exited

	RestartWith []string  // containers whose end stops this one, so that the kubelet starts it again
	EnvFiles    []EnvFile // read before the start; the last file that sets a variable counts

	ReadyWhen ReadyWhen

	DependencySignal syscall.Signal // sent instead of StopSignal when another container stops the command; 0: StopSignal

	StoppedExitCode ExitCode // reported if a stop dependency stopped the command in time, or kept it from starting
	KilledExitCode  ExitCode // reported if a stop dependency stopped the command, and the wrapper had to kill it

	Mode     Mode
	LogLevel string // error, info or debug

	Source  Source
	Wrapped []string // containers with a record among those of the dependencies and of HoldFor

	// Fields that only the webhook can fill in; all of them may be missing.

	Container     string         // the container's own name
	Restart       Restart        // decides whether an exit of this container is permanent
	HoldFor       []string       // containers that must exit before this one when the pod is stopped
	GracePeriod   time.Duration  // the pod's terminationGracePeriodSeconds; 0: not known
	ProbeGrace    time.Duration  // the shortest terminationGracePeriodSeconds of its own probes; 0: none has one
	ReadyProbes   []Probe        // must pass, in this order, before the container is reported as ready
	StartupProbe  *Probe         // the container's own, run by the gate
	LivenessDelay time.Duration  // initialDelaySeconds of its liveness probe
	Liveness      *Probe         // the container's own, run by "koordinator probe liveness"; nil: left to the kubelet
	Readiness     *Probe         // likewise, run by "koordinator probe readiness"
	PostStart     *Handler       // runs right after the start
	PreStop       *Handler       // runs before the wrapper stops the command for a reason of its own
	RequestSignal syscall.Signal // the signal of the runtime's stop request to this container; 0: not known
	MessagePath   string         // the container's terminationMessagePath

	// ReadyEndpoints contains endpoints, by container name, that decide the
	// condition ready for containers without a wrapper. If an endpoint does not
	// answer for a while, the pod's status is read as well.
	ReadyEndpoints map[string]string
	// Delegated contains the stops of containers without a wrapper that this
	// container's wrapper performs.
	Delegated []Delegation

	// Environ contains variables of the command that would also affect the
	// wrapper, which is a Go program: for example, GODEBUG.
	Environ map[string]string

	// Commands contains the words that precede the wrapper's arguments, by the
	// node's platform ("linux/amd64", "linux/arm/v7"), for an image that runs a
	// different command on each platform; nil for other images.
	Commands map[string][]string
}

// Default returns the spec of an empty JSON object.
func Default() Spec {
	return Spec{
		StopWhen:       StopAny,
		OnStartTimeout: TimeoutFail,
		StopTimeout:    DefaultStopTimeout,
		KilledExitCode: DefaultKilledExitCode,
		ReadyWhen:      ReadyByProbes,
		Mode:           Supervise,
		LogLevel:       DefaultLogLevel,
		Source:         SourceAuto,
		MessagePath:    Message,
	}
}
