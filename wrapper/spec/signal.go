package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// signalNames are Linux's names of the signals 1 to 31, whose numbers are the
// same on all supported architectures.
var signalNames = [...]string{
	1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
	"PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
	"XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// Linux's numbers of signals that some operating systems lack or number
// differently: programs on other systems also read specs.
const (
	SIGCHLD  syscall.Signal = 17
	SIGSTOP  syscall.Signal = 19
	SIGURG   syscall.Signal = 23
	SIGPROF  syscall.Signal = 27
	SIGWINCH syscall.Signal = 28
	SIGIO    syscall.Signal = 29
)

// The range of the real-time signals in a C library, which reserves 32 and 33
// for itself.
const (
	sigRTMin = 34
	sigRTMax = 64
)

// ParseSignal parses SIGTERM, TERM, 15, SIGRTMIN+3 or RTMAX-1. It ignores case.
func ParseSignal(s string) (syscall.Signal, error) {
	name := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "SIG")
	n, err := strconv.Atoi(name)
	if err != nil {
		n = signalNumber(name)
	}
	if n < 1 || n > sigRTMax {
		return 0, wrong(InvalidSignal, s, fmt.Sprintf("Use a name, for example SIGTERM, TERM or SIGRTMIN+3, or a number from 1 to %d", sigRTMax), "%q is not a signal", s)
	}
	if n == int(syscall.SIGKILL) || n == int(SIGSTOP) {
		return 0, wrong(InvalidSignal, s, "Use another, for example SIGTERM, SIGINT or SIGQUIT", "no command can handle the signal %q", s)
	}
	return syscall.Signal(n), nil
}

// signalNumber returns the number of a signal's name without SIG, or 0 if there
// is none.
func signalNumber(name string) int {
	switch name {
	case "":
		return 0
	case "IOT":
		return int(syscall.SIGABRT)
	case "POLL":
		return int(SIGIO)
	case "CLD":
		return int(SIGCHLD)
	case "RTMIN":
		return sigRTMin
	case "RTMAX":
		return sigRTMax
	}
	offset := func(text string) int {
		if k, err := strconv.ParseUint(text, 10, 8); err == nil {
			return int(k)
		}
		return sigRTMax // out of range in both cases
	}
	if rest, ok := strings.CutPrefix(name, "RTMIN+"); ok {
		return sigRTMin + offset(rest)
	}
	if rest, ok := strings.CutPrefix(name, "RTMAX-"); ok {
		if n := sigRTMax - offset(rest); n >= sigRTMin {
			return n
		}
		return 0
	}
	return max(slices.Index(signalNames[:], name), 0)
}

// SignalName returns the usual name of a signal, such as SIGTERM or SIGRTMIN+3,
// or its number.
func SignalName(s syscall.Signal) string {
	n := int(s)
	switch {
	case n > 0 && n < len(signalNames):
		return "SIG" + signalNames[n]
	case n == sigRTMin:
		return "SIGRTMIN"
	case n > sigRTMin && n <= sigRTMax:
		return fmt.Sprintf("SIGRTMIN+%d", n-sigRTMin)
	}
	return strconv.Itoa(n)
}
