package spec

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]syscall.Signal{
		"SIGTERM": syscall.SIGTERM, "TERM": syscall.SIGTERM, "sigterm": syscall.SIGTERM, "15": syscall.SIGTERM, " INT ": syscall.SIGINT,
		"SIGRTMIN": 34, "SIGRTMIN+3": 37, "RTMAX": 64, "RTMAX-1": 63, "SIGRTMAX-30": 34, "SIGRTMIN+30": 64, "64": 64,
		"IOT": syscall.SIGABRT, "SIGPOLL": syscall.SIGIO, "WINCH": syscall.SIGWINCH, "SYS": syscall.SIGSYS,
	} {
		if got, err := ParseSignal(text); err != nil || got != want {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "SIG", "0", "-1", "65", "KILL", "9", "STOP", "SIGSIGTERM", "RTMIN+31", "RTMIN-1", "RTMAX-31", "RTMIN+", "RTMIN+x", "TERM+1"} {
		if got, err := ParseSignal(text); err == nil {
			t.Errorf("ParseSignal(%q) = %d, want an error", text, got)
		}
	}
	for n := syscall.Signal(1); n <= 64; n++ {
		if n == syscall.SIGKILL || n == syscall.SIGSTOP {
			continue
		}
		if got, err := ParseSignal(SignalName(n)); err != nil || got != n {
			t.Errorf("ParseSignal(SignalName(%d) = %q) = %d, %v", n, SignalName(n), got, err)
		}
	}
}

// TestSignalsAreNumberedAsLinuxDoes compares the numbers with those of this
// platform, which is Linux wherever the wrapper runs.
func TestSignalsAreNumberedAsLinuxDoes(t *testing.T) {
	for name, want := range map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "ILL": syscall.SIGILL, "TRAP": syscall.SIGTRAP,
		"ABRT": syscall.SIGABRT, "BUS": syscall.SIGBUS, "FPE": syscall.SIGFPE, "USR1": syscall.SIGUSR1, "SEGV": syscall.SIGSEGV,
		"USR2": syscall.SIGUSR2, "PIPE": syscall.SIGPIPE, "ALRM": syscall.SIGALRM, "TERM": syscall.SIGTERM, "STKFLT": syscall.SIGSTKFLT,
		"CHLD": syscall.SIGCHLD, "CLD": syscall.SIGCLD, "CONT": syscall.SIGCONT, "TSTP": syscall.SIGTSTP, "TTIN": syscall.SIGTTIN,
		"TTOU": syscall.SIGTTOU, "URG": syscall.SIGURG, "XCPU": syscall.SIGXCPU, "XFSZ": syscall.SIGXFSZ, "VTALRM": syscall.SIGVTALRM,
		"PROF": syscall.SIGPROF, "WINCH": syscall.SIGWINCH, "IO": syscall.SIGIO, "POLL": syscall.SIGPOLL, "PWR": syscall.SIGPWR,
		"SYS": syscall.SIGSYS, "IOT": syscall.SIGIOT,
	} {
		for _, text := range []string{name, "SIG" + name, strings.ToLower(name), fmt.Sprint(int(want))} {
			if have, err := ParseSignal(text); err != nil || have != want {
				t.Errorf("ParseSignal(%q) = %d, %v, want %d", text, have, err, want)
			}
		}
	}
	for name, pair := range map[string][2]syscall.Signal{
		"CHLD": {SIGCHLD, syscall.SIGCHLD}, "STOP": {SIGSTOP, syscall.SIGSTOP}, "URG": {SIGURG, syscall.SIGURG},
		"PROF": {SIGPROF, syscall.SIGPROF}, "WINCH": {SIGWINCH, syscall.SIGWINCH}, "IO": {SIGIO, syscall.SIGIO},
	} {
		if pair[0] != pair[1] {
			t.Errorf("SIG%s is %d here, and %d in Linux", name, pair[0], pair[1])
		}
	}
}

func TestSignalNames(t *testing.T) {
	for signal, want := range map[syscall.Signal]string{
		-1: "-1", 0: "0", 1: "SIGHUP", 9: "SIGKILL", 15: "SIGTERM", 19: "SIGSTOP", 31: "SIGSYS",
		32: "32", 33: "33", 34: "SIGRTMIN", 35: "SIGRTMIN+1", 63: "SIGRTMIN+29", 64: "SIGRTMIN+30", 65: "65", 127: "127",
	} {
		if have := SignalName(signal); have != want {
			t.Errorf("SignalName(%d) = %q, want %q", signal, have, want)
		}
	}
}

func TestRealTimeSignalsAreCountedFromBothEnds(t *testing.T) {
	for offset := range 31 {
		up, down := fmt.Sprintf("SIGRTMIN+%d", offset), fmt.Sprintf("SIGRTMAX-%d", offset)
		if have, err := ParseSignal(up); err != nil || int(have) != 34+offset {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", up, have, err, 34+offset)
		}
		if have, err := ParseSignal(down); err != nil || int(have) != 64-offset {
			t.Errorf("ParseSignal(%q) = %d, %v, want %d", down, have, err, 64-offset)
		}
	}
	for _, text := range []string{"RTMIN+31", "RTMIN+255", "RTMIN+256", "RTMIN+-1", "RTMAX-31", "RTMAX-64", "RTMAX-256", "RTMAX--1", "RTMAX+1", "RTMIN-0"} {
		if have, err := ParseSignal(text); err == nil {
			t.Errorf("ParseSignal(%q) = %d, want an error", text, have)
		}
	}
}

func TestInvalidSignalsAreRejectedWithARemedy(t *testing.T) {
	const use = "Use a name, for example SIGTERM, TERM or SIGRTMIN+3, or a number from 1 to 64"
	const other = "Use another, for example SIGTERM, SIGINT or SIGQUIT"
	for text, want := range map[string]Problem{
		"":        {InvalidSignal, "", "", `"" is not a signal`, use},
		"SIG":     {InvalidSignal, "", "SIG", `"SIG" is not a signal`, use},
		"SIGFOO":  {InvalidSignal, "", "SIGFOO", `"SIGFOO" is not a signal`, use},
		"0":       {InvalidSignal, "", "0", `"0" is not a signal`, use},
		"65":      {InvalidSignal, "", "65", `"65" is not a signal`, use},
		"1.5":     {InvalidSignal, "", "1.5", `"1.5" is not a signal`, use},
		"TERM 15": {InvalidSignal, "", "TERM 15", `"TERM 15" is not a signal`, use},
		"sigkill": {InvalidSignal, "", "sigkill", `no command can handle the signal "sigkill"`, other},
		"9":       {InvalidSignal, "", "9", `no command can handle the signal "9"`, other},
		"SIGSTOP": {InvalidSignal, "", "SIGSTOP", `no command can handle the signal "SIGSTOP"`, other},
		"19":      {InvalidSignal, "", "19", `no command can handle the signal "19"`, other},
	} {
		_, err := ParseSignal(text)
		have, _ := errors.AsType[Problems](err)
		if diff := cmp.Diff(Problems{want}, have); diff != "" {
			t.Errorf("%q (-want +have):\n%s", text, diff)
		}
	}
}
