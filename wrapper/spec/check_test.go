package spec

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// TestCheckFindsWhatParseFinds checks each mistake in a spec as a value, and as
// the encoded text.
func TestCheckFindsWhatParseFinds(t *testing.T) {
	exec := Handler{Exec: &Exec{Command: []string{"true"}}}
	for name, change := range map[string]func(*Spec){
		"nothing":              func(*Spec) {},
		"a good probe":         func(s *Spec) { s.Liveness = &Probe{Handler: exec} },
		"a probe without kind": func(s *Spec) { s.StartupProbe = &Probe{} },
		"a probe that sleeps":  func(s *Spec) { s.Readiness = &Probe{Handler: Handler{Sleep: &Sleep{Seconds: 1}}} },
		"a negative number":    func(s *Spec) { s.Liveness = &Probe{Handler: exec, TimeoutSeconds: -1} },
		"a port": func(s *Spec) {
			s.ReadyProbes = []Probe{{Handler: exec}, {Handler: Handler{TCP: &TCPSocket{Port: 65536}}}}
		},
		"a scheme":                          func(s *Spec) { s.PreStop = &Handler{HTTP: &HTTPGet{Port: 80, Scheme: "FTP"}} },
		"a hook with gRPC":                  func(s *Spec) { s.PostStart = &Handler{GRPC: &GRPC{Port: 80}} },
		"a hook of two kinds":               func(s *Spec) { s.PostStart = &Handler{Exec: exec.Exec, Sleep: &Sleep{Seconds: 1}} },
		"a hook of the past":                func(s *Spec) { s.PreStop = &Handler{Sleep: &Sleep{Seconds: -1}} },
		"a command of nothing":              func(s *Spec) { s.PreStop = &Handler{Exec: &Exec{Command: []string{""}}} },
		"a restart policy":                  func(s *Spec) { s.Restart.Policy = "Sometimes" },
		"a negative grace period":           func(s *Spec) { s.GracePeriod = -time.Second },
		"a negative grace period of probes": func(s *Spec) { s.ProbeGrace = -time.Second },
		"a negative delay":                  func(s *Spec) { s.LivenessDelay = -time.Second },
		"a relative path":                   func(s *Spec) { s.MessagePath = "log" },
		"a dependency on itself":            func(s *Spec) { s.StartDeps = []Dependency{{Container: "main", Condition: Ready}} },
		"exec mode that stops":              func(s *Spec) { s.Mode, s.StopDeps = ExecMode, []Dependency{{Container: "a", Condition: Exited}} },
		"no time to stop":                   func(s *Spec) { s.StopTimeout = 0 },
		"several":                           func(s *Spec) { s.Restart.Policy, s.MessagePath, s.Liveness = "Sometimes", "log", &Probe{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := Default()
			s.Container = "main"
			change(&s)
			have := s.Check()
			_, err := Parse(s.Encode())
			want, _ := errors.AsType[Problems](err)
			if !slices.Equal(texts(have), texts(want)) {
				t.Errorf("Check finds %q, Parse %q", texts(have), texts(want))
			}
			if (len(have) == 0) != (name == "nothing" || name == "a good probe") {
				t.Errorf("Check finds %q", texts(have))
			}
		})
	}
}
