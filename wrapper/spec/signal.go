package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// signalNames are Linux's names of the signals 1–31, which no architecture we
// build for numbers differently.
var signalNames = [...]string{
	1: "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
	"PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
	"XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
}

// The real-time signals as a C library counts them: it keeps 32 and 33.
const (
	sigRTMin = 34
	sigRTMax = 64
)

// ParseSignal reads SIGTERM, TERM, 15, SIGRTMIN+3 or RTMAX-1, in any case.
func ParseSignal(s string) (syscall.Signal, error) {
	name := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "SIG")
	n, err := strconv.Atoi(name)
	if err != nil {
		n = signalNumber(name)
	}
	if n < 1 || n > sigRTMax {
		return 0, fmt.Errorf("unknown signal %q (a name as SIGTERM, TERM or SIGRTMIN+3, or a number 1–%d)", s, sigRTMax)
	}
	if n == int(syscall.SIGKILL) || n == int(syscall.SIGSTOP) {
		return 0, fmt.Errorf("signal %q cannot be handled by any command (choose one as SIGTERM, SIGINT or SIGQUIT)", s)
	}
	return syscall.Signal(n), nil
}

// signalNumber is the number of a name without its SIG, 0 when there is none.
func signalNumber(name string) int {
	switch name {
	case "":
		return 0
	case "IOT":
		return int(syscall.SIGABRT)
	case "POLL":
		return int(syscall.SIGIO)
	case "CLD":
		return int(syscall.SIGCHLD)
	case "RTMIN":
		return sigRTMin
	case "RTMAX":
		return sigRTMax
	}
	offset := func(text string) int {
		if k, err := strconv.ParseUint(text, 10, 8); err == nil && k <= sigRTMax-sigRTMin {
			return int(k)
		}
		return sigRTMax // out of range either way
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

// SignalName is the usual name of a signal: SIGTERM, SIGRTMIN+3, or its number.
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
