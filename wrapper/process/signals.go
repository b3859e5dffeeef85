package process

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// lastSignal is SIGRTMAX.
const lastSignal = syscall.Signal(64)

// queue is how many signals may wait while the event loop is busy, at most for
// busyLimit: more than there are, so that each fits at least once.
const queue = 128

// Heard is where signals arrive.
type Heard struct {
	Signals  <-chan os.Signal // all to be passed on, each a syscall.Signal
	Children <-chan os.Signal // SIGCHLD

	heard chan<- os.Signal // Signals
}

// Signals subscribes to everything the wrapper must hear. It belongs first in
// main: before it a SIGTERM ends any Go program, as PID 1 with code 2.
//
// SIGCHLD comes on Children, which holds one: it means "call Reap", and apart
// from the rest no storm of orphans can crowd out a SIGTERM. All others come on
// Signals. What never comes:
//
//   - SIGKILL and SIGSTOP, which nobody can catch
//   - SIGURG, by which the Go runtime preempts its own threads; an outside one
//     cannot be told from it
//   - SIGPIPE, which here only means that our own stderr is closed; it is caught
//     and dropped, or it would end the wrapper
//   - SIGPROF (27) and signal 33, which the Go runtime drops
//   - signals 32 and 34 (SIGRTMIN), which Go cannot catch: PID 1 ignores them,
//     any other wrapper dies of them
//
// Those that end a program are caught when it returns. Heard.Common catches
// those that containers are sent in practice, Heard.Rest all others. Go takes
// some 20 µs for each, which together would be half of what starting a command
// costs. Until then they go nowhere, but for SIGPIPE.
//
// Catching SIGTSTP, SIGTTIN and SIGTTOU keeps the wrapper from being stopped,
// when nobody would continue it. Nothing is ignored by signal.Ignore, since a
// command would inherit that.
func Signals() Heard {
	heard := make(chan os.Signal, queue)
	died := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP) // these end us
	signal.Notify(died, syscall.SIGCHLD)
	return Heard{heard, died, heard}
}

// Common catches what containers are sent in practice. It belongs before the
// command's start, unless the command takes the wrapper's place at once.
func (h Heard) Common() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signal.Notify(h.heard, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGCONT,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}

// Also catches one signal more, before Rest does.
func (h Heard) Also(s syscall.Signal) { signal.Notify(h.heard, s) }

// Rest catches the signals that are left. It may run beside the loop that reads
// them, and lets others in between: Notify holds a lock that the delivery of a
// signal needs.
func (h Heard) Rest() {
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		switch s {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
		default:
			signal.Notify(h.heard, s) // minds no repetition
			runtime.Gosched()
		}
	}
}
