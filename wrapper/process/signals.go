package process

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// lastSignal is SIGRTMAX.
const lastSignal = syscall.Signal(64)

// queue is how many signals can wait while the event loop is busy, for example
// while Start waits for a busy file. It is larger than the number of different
// signals, so that each fits at least once.
const queue = 128

// Heard contains the channels on which signals arrive.
type Heard struct {
	Signals  <-chan os.Signal // all signals to be passed on, each a syscall.Signal
	Children <-chan os.Signal // SIGCHLD

	heard chan<- os.Signal // the sending side of Signals
}

// Signals subscribes to all signals that the wrapper must receive. main must
// call it first: before that, SIGTERM ends any Go program, as PID 1 with code
// 2.
//
// SIGCHLD arrives on Children, which has room for one: it means "call Reap".
// Because it is separate, many orphans cannot crowd out a SIGTERM. All others
// arrive on Signals. The following never arrive:
//
//   - SIGKILL and SIGSTOP, which cannot be caught
//   - SIGURG, which the Go runtime uses to preempt its own threads; one from
//     outside cannot be distinguished from it
//   - SIGPIPE, which only means that the wrapper's stderr is closed; it is caught
//     and dropped, because it would otherwise end the wrapper
//   - SIGPROF (27) and signal 33, which the Go runtime drops
//   - signals 32 and 34 (SIGRTMIN), which Go cannot catch: PID 1 ignores them,
//     any other wrapper dies of them
//
// When Signals returns, the signals that usually end a program are caught.
// Heard.Common catches those that containers receive in practice, and
// Heard.Rest all others. For each signal, the Go runtime switches between
// threads several times, which takes about 20 µs. The total would be half of the
// time to start a command. Until a signal is caught, it has no effect in most
// cases.
//
// SIGTSTP, SIGTTIN and SIGTTOU are caught because nothing would continue a
// stopped wrapper. signal.Ignore is not used, because a command would inherit
// that.
func Signals() Heard {
	heard := make(chan os.Signal, queue)
	died := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP) // these would end this process
	signal.Notify(died, syscall.SIGCHLD)
	return Heard{heard, died, heard}
}

// Common catches the signals that containers receive in practice. It must be
// called before the command's start, unless the command replaces the wrapper
// immediately.
func (h Heard) Common() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signal.Notify(h.heard, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGWINCH, syscall.SIGCONT,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}

// Also catches one more signal, before Rest does.
func (h Heard) Also(s syscall.Signal) { signal.Notify(h.heard, s) }

// Rest catches the remaining signals. It may run concurrently with the loop
// that receives them, and yields to other goroutines in between: Notify holds a
// lock that the delivery of a signal needs.
func (h Heard) Rest() {
	for s := syscall.Signal(1); s <= lastSignal; s++ {
		switch s {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE:
		default:
			signal.Notify(h.heard, s) // repetition is harmless
			runtime.Gosched()
		}
	}
}
