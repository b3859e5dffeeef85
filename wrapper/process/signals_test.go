package process

import (
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// neverHeard returns the signals that Signals does not deliver (see there), and
// SIGCHLD, which has a channel of its own.
func neverHeard() []syscall.Signal {
	return []syscall.Signal{
		syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE,
		syscall.SIGPROF, 32, 33, 34,
	}
}

func TestEverySignalIsHeard(t *testing.T) {
	for _, s := range settings() {
		t.Run("gort-02 dinit-14 own-22 each reaches the command once and in order "+s.name, func(t *testing.T) {
			a := s.actor(t, part(t, "hear")...).start(t)
			a.expect(t, "ready")
			heard := 0
			for n := syscall.Signal(1); n <= lastSignal; n++ {
				if slices.Contains(neverHeard(), n) || n == syscall.SIGTERM {
					continue
				}
				if err := a.Process.Signal(n); err != nil {
					t.Fatal(err)
				}
				a.expect(t, strconv.Itoa(int(n)))
				heard++
			}
			a.Process.Signal(syscall.SIGTERM)
			a.expect(t, "15")
			if code := a.code(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if heard+1 != 55 {
				t.Errorf("%d signals heard, want 55 of 64", heard+1)
			}
		})
	}
}

// TestSignalsNotHeard checks that such signals are harmless: the wrapper lives,
// and the command does not receive them.
func TestSignalsNotHeard(t *testing.T) {
	harmless := []syscall.Signal{syscall.SIGURG, syscall.SIGPIPE, syscall.SIGPROF, syscall.SIGCHLD, 33}
	for _, s := range settings() {
		list := harmless
		if s.name == "as PID 1" {
			list = append(slices.Clone(list), 32, 34)
		}
		for _, n := range list {
			t.Run(fmt.Sprintf("gort-02 signal %d goes nowhere %s", n, s.name), func(t *testing.T) {
				a := s.actor(t, part(t, "hear")...).start(t)
				a.expect(t, "ready")
				a.Process.Signal(n)
				a.Process.Signal(syscall.SIGTERM)
				a.expect(t, "15")
				if code := a.code(t); code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
			})
		}
	}
	for _, n := range []syscall.Signal{32, 34} {
		t.Run(fmt.Sprintf("gort-03 signal %d ends a wrapper that is not PID 1", n), func(t *testing.T) {
			a := supervisor(t, "sleep", "1000").start(t)
			eventually(t, "the command runs", func() bool {
				all, _ := childrenOf(t, a.Process.Pid)
				return all == 1
			})
			a.Process.Signal(n)
			if got, want := a.code(t), 128+int(n); got != want {
				t.Errorf("exit code %d, want %d", got, want)
			}
		})
	}
}

func TestPassedOn(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, 37} {
		for _, in := range settings() {
			t.Run(fmt.Sprintf("tini-05 tini-10 the command dies of signal %d %s", s, in.name), func(t *testing.T) {
				a := in.actor(t, "/bin/sh", "-c", "echo ready; exec sleep 1000").start(t)
				a.expect(t, "ready")
				a.Process.Signal(s)
				if got, want := a.code(t), 128+int(s); got != want {
					t.Errorf("exit code %d, want %d", got, want)
				}
			})
		}
	}
}
