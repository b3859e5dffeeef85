//go:build vm

package pod

import (
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTheOrderHoldsWhileTheClockIsSet sets the clock of the machine, which test/vm provides,
// in every phase of a pod. All timeouts are shorter than the change and longer than the test.
func TestTheOrderHoldsWhileTheClockIsSet(t *testing.T) {
	const timeout = 30 * time.Minute
	for name, step := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			ready, end := filepath.Join(t.TempDir(), "ready"), filepath.Join(t.TempDir(), "end")
			proxy := s.container("proxy", "trap 'echo asked >>$LOG; until test -e "+end+"; do sleep 0.01; done; echo ended >>$LOG; exit 0' TERM; echo proxy >>$LOG; while :; do sleep 0.01; done",
				readyWhen(ready), stopAfter("main"), stopTimeout(timeout))
			main := s.container("main", "trap 'exit 0' TERM; echo main >>$LOG; while :; do sleep 0.01; done", startAfter("proxy"), startTimeout(timeout))
			s.until("proxy")
			s.waits(main)
			setClock(t, step)
			if err := writeFile(ready); err != nil {
				t.Fatal(err)
			}
			s.until("main")
			s.recorded("main")
			setClock(t, step)
			main.Signal(syscall.SIGTERM)
			exits(t, main, 0)
			s.until("asked")
			setClock(t, step)
			if err := writeFile(end); err != nil {
				t.Fatal(err)
			}
			exits(t, proxy, 0)
			s.want("proxy main asked ended")
		})
		t.Run("a held stop request, "+name, func(t *testing.T) {
			s := newStory(t)
			end := filepath.Join(t.TempDir(), "end")
			main := s.container("main", "trap 'until test -e "+end+"; do sleep 0.01; done; echo main >>$LOG; exit 0' TERM; echo up >>$LOG; while :; do sleep 0.01; done")
			proxy := s.container("proxy", ending("proxy"), holdFor(timeout, "main"))
			s.until("up")
			s.recorded("main", "proxy")
			main.Signal(syscall.SIGTERM)
			proxy.Signal(syscall.SIGTERM)
			setClock(t, step)
			if err := writeFile(end); err != nil {
				t.Fatal(err)
			}
			exits(t, main, 0)
			exits(t, proxy, 0)
			s.want("up main proxy")
		})
	}
}

// setClock changes the clock of the machine, and waits for timers that expire because of it.
func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	now := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	if err := unix.Settimeofday(&now); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
}
