package spec

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// wire is the JSON that the webhook writes. It omits fields with their default
// value, except the exit codes and the stop timeout, which users look for.
type wire struct {
	Version int `json:"version"`

	Container       string   `json:"container,omitempty"`
	StartDeps       []string `json:"startDeps,omitempty"`
	StopDeps        []string `json:"stopDeps,omitempty"`
	StopWhen        string   `json:"stopWhen,omitempty"`
	StartTimeout    string   `json:"startTimeout,omitempty"`
	OnStartTimeout  string   `json:"onStartTimeout,omitempty"`
	StopDelay       string   `json:"stopDelay,omitempty"`
	StopSignal      string   `json:"stopSignal,omitempty"`
	StopTimeout     string   `json:"stopTimeout"`
	StopHTTP        string   `json:"stopHTTP,omitempty"`
	ExitHTTP        []string `json:"exitHTTP,omitempty"`
	RestartWith     []string `json:"restartWith,omitempty"`
	ReadyWhen       string   `json:"readyWhen,omitempty"`
	EnvFiles        []string `json:"envFiles,omitempty"`
	StoppedExitCode any      `json:"stoppedExitCode"`
	KilledExitCode  any      `json:"killedExitCode"`

	WhenStopDepExited map[string]int `json:"whenStopDepExited,omitempty"`
	Mode              string         `json:"mode,omitempty"`
	LogLevel          string         `json:"logLevel,omitempty"`
	Source            string         `json:"source,omitempty"`

	Wrapped       []string `json:"wrapped,omitempty"`
	Restart       *Restart `json:"restart,omitempty"`
	HoldFor       []string `json:"holdFor,omitempty"`
	GracePeriod   string   `json:"gracePeriod,omitempty"`
	ProbeGrace    string   `json:"probeGrace,omitempty"`
	ReadyProbes   []Probe  `json:"readyProbes,omitempty"`
	StartupProbe  *Probe   `json:"startupProbe,omitempty"`
	LivenessDelay string   `json:"livenessDelay,omitempty"`
	Liveness      *Probe   `json:"liveness,omitempty"`
	Readiness     *Probe   `json:"readiness,omitempty"`
	PostStart     *Handler `json:"postStart,omitempty"`
	PreStop       *Handler `json:"preStop,omitempty"`
	RequestSignal string   `json:"requestSignal,omitempty"`
	MessagePath   string   `json:"messagePath,omitempty"`

	ReadyEndpoints map[string]string `json:"readyEndpoints,omitempty"`
	Delegated      []delegationWire  `json:"delegated,omitempty"`

	Environ  map[string]string   `json:"environ,omitempty"`
	Commands map[string][]string `json:"commands,omitempty"`
}

// Encode returns the spec as JSON. Parse turns it back into an equal Spec.
// Equal specs give equal bytes.
func (s Spec) Encode() string {
	w := wire{
		Version:         s.version(),
		Container:       s.Container,
		StartDeps:       append(texts(s.StartDeps), texts(s.StartEndpoints)...),
		StopDeps:        texts(s.StopDeps),
		StopWhen:        unless(s.StopWhen, StopAny),
		StartTimeout:    durationText(s.StartTimeout),
		OnStartTimeout:  unless(s.OnStartTimeout, TimeoutFail),
		StopDelay:       durationText(s.StopDelay),
		StopSignal:      signalText(s.StopSignal),
		StopTimeout:     s.StopTimeout.String(),
		ExitHTTP:        texts(s.ExitHTTP),
		RestartWith:     s.RestartWith,
		ReadyWhen:       unless(s.ReadyWhen, ReadyByProbes),
		EnvFiles:        texts(s.EnvFiles),
		StoppedExitCode: exitCodeValue(s.StoppedExitCode),
		KilledExitCode:  exitCodeValue(s.KilledExitCode),
		Mode:            unless(s.Mode, Supervise),
		LogLevel:        unless(s.LogLevel, DefaultLogLevel),
		Source:          unless(s.Source, SourceAuto),
		Wrapped:         s.Wrapped,
		HoldFor:         s.HoldFor,
		GracePeriod:     durationText(s.GracePeriod),
		ProbeGrace:      durationText(s.ProbeGrace),
		ReadyProbes:     s.ReadyProbes,
		StartupProbe:    s.StartupProbe,
		Liveness:        s.Liveness,
		Readiness:       s.Readiness,
		Environ:         s.Environ,
		LivenessDelay:   durationText(s.LivenessDelay),
		PostStart:       s.PostStart,
		PreStop:         s.PreStop,
		RequestSignal:   signalText(s.RequestSignal),
		MessagePath:     unless(s.MessagePath, Message),
		Commands:        s.Commands,
		ReadyEndpoints:  s.ReadyEndpoints,
		Delegated:       wireDelegations(s.Delegated),
	}
	if s.StopHTTP != nil {
		w.StopHTTP = s.StopHTTP.String()
	}
	if s.DependencySignal != 0 {
		w.WhenStopDepExited = map[string]int{"signal": int(s.DependencySignal)}
	}
	if s.Restart.Policy != "" {
		w.Restart = &s.Restart
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		panic("encode a struct of strings and numbers: " + err.Error()) // cannot happen
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// unless returns value, or "" if it is the default.
func unless[T ~string](value, fallback T) string {
	if value == fallback {
		return ""
	}
	return string(value)
}

func texts[T fmt.Stringer](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = v.String()
	}
	return all
}

func signalText(s syscall.Signal) string {
	if s == 0 {
		return ""
	}
	return SignalName(s)
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func exitCodeValue(c ExitCode) any {
	if c == Child {
		return "child"
	}
	return int(c)
}
