package spec

import (
	"encoding/json"
	"strings"
	"time"
)

// wire is the JSON the webhook writes. Fields at their zero value are left out
// and read back as the default, which is why exit codes and the stop timeout,
// whose default is not zero, are always written.
type wire struct {
	Version         int      `json:"version"`
	Container       string   `json:"container,omitempty"`
	StartDeps       []string `json:"startDeps,omitempty"`
	StopDeps        []string `json:"stopDeps,omitempty"`
	StartTimeout    string   `json:"startTimeout,omitempty"`
	StopDelay       string   `json:"stopDelay,omitempty"`
	StopSignal      string   `json:"stopSignal,omitempty"`
	StopTimeout     string   `json:"stopTimeout"`
	StoppedExitCode any      `json:"stoppedExitCode"`
	KilledExitCode  any      `json:"killedExitCode"`
	RequestSignal   string   `json:"requestSignal,omitempty"`

	WhenStopDepExited map[string]int `json:"whenStopDepExited,omitempty"`
	MessagePath       string         `json:"messagePath,omitempty"`
	LogLevel          string         `json:"logLevel,omitempty"`
}

// Encode writes the spec as JSON that Parse reads back to an equal Spec.
// Equal specs give equal bytes.
func (s Spec) Encode() string {
	w := wire{
		Version:         Version,
		Container:       s.Container,
		StartDeps:       depTexts(s.StartDeps),
		StopDeps:        depTexts(s.StopDeps),
		StartTimeout:    durationText(s.StartTimeout),
		StopDelay:       durationText(s.StopDelay),
		StopTimeout:     s.StopTimeout.String(),
		StoppedExitCode: exitCodeValue(s.StoppedExitCode),
		KilledExitCode:  exitCodeValue(s.KilledExitCode),
	}
	if s.MessagePath != Message {
		w.MessagePath = s.MessagePath
	}
	if s.LogLevel != DefaultLogLevel {
		w.LogLevel = s.LogLevel
	}
	if s.StopSignal != 0 {
		w.StopSignal = SignalName(s.StopSignal)
	}
	if s.DependencySignal != 0 {
		w.WhenStopDepExited = map[string]int{"signal": int(s.DependencySignal)}
	}
	if s.RequestSignal != 0 {
		w.RequestSignal = SignalName(s.RequestSignal)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		panic("encode a struct of strings and numbers: " + err.Error()) // cannot happen
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func depTexts(deps []Dependency) []string {
	texts := make([]string, len(deps))
	for i, d := range deps {
		texts[i] = d.String()
	}
	return texts
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
