package wrapper

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestATimerThatWasSetAgainDoesNotFireForItsPredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s, err := spec.Parse(`{"startDeps":["proxy"],"startTimeout":"1s"}`)
		if err != nil {
			t.Fatal(err)
		}
		l := &loop{
			Config: Config{Spec: s, Log: slog.New(slog.DiscardHandler)}, ctx: ctx,
			machine: lifecycle.New(s, false), timers: map[lifecycle.Timer]*time.Timer{}, calls: make(chan func()),
		}
		l.act(lifecycle.Begin{})
		time.Sleep(2 * time.Second) // it has fired and waits for the loop
		l.setTimer(lifecycle.SetTimer{Timer: lifecycle.StartTimeout, After: time.Hour})
		(<-l.calls)()
		if l.machine.State() != lifecycle.Waiting {
			t.Errorf("the timer that was replaced ended the wait: %v", l.machine.State())
		}
		(<-l.calls)()
		if l.machine.State() != lifecycle.Done {
			t.Errorf("the timer that replaced it did not: %v", l.machine.State())
		}
	})
}

func TestA31AServerThatNeverAnswersIsAskedAgainAfterFiveSeconds(t *testing.T) {
	const quit = "POST http://127.0.0.1:1/quit"
	synctest.Test(t, func(t *testing.T) {
		r := &rig{silent: true}
		got := r.run(t, `{"exitHTTP":["`+quit+`"]}`, func() { r.end(4) })
		if want := (outcome{4, "", time.Minute}); got != want || len(r.asked) != 9 {
			t.Errorf("have %+v after %d tries, want %+v after 9", got, len(r.asked), want)
		}
	})
}

func TestARecordThatCouldNotBeWrittenIsWrittenAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &rig{onSignal: map[syscall.Signal]int{}}
	r.record = newRecord(t, dir)
	synctest.Test(t, func(t *testing.T) {
		r.run(t, `{"stopDelay":"1h"}`, func() {
			time.Sleep(time.Second)
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
			r.signals <- syscall.SIGTERM // the state changes
			time.Sleep(100 * time.Millisecond)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Second)
			if p, err := record.Read(dir); err != nil || p.Phase != "delaying" {
				t.Errorf("the record says %q, %v", p.Phase, err)
			}
			r.end(0)
		})
	})
}

func newRecord(t *testing.T, dir string) *record.Record {
	t.Helper()
	r, err := record.Create(dir, filepath.Dir(dir), spec.Restart{Policy: spec.RestartNever})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.KeepAlive(r) }) // the garbage collector would close its files
	return r
}

func TestRecordsAreWatchedUrgentlyOnlyWhileThatMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{onSignal: map[syscall.Signal]int{syscall.SIGTERM: 0}}
		r.run(t, `{"startDeps":["proxy"],"stopDeps":["proxy"],"wrapped":["proxy"],"holdFor":["proxy"],"gracePeriod":"30s","restart":{"policy":"Always"}}`, func() {
			r.peers <- record.Snapshot{"proxy": recReady}
			time.Sleep(time.Second)
			r.signals <- syscall.SIGTERM
			time.Sleep(time.Second)
			r.peers <- record.Snapshot{"proxy": recDone}
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		if want := []bool{true, false, true, false}; !slices.Equal(r.urgency, want) {
			t.Errorf("watched urgently %v, want %v: while it waits, while the command runs, while it holds, while it ends", r.urgency, want)
		}
	})
}

func TestARecordIsNotInheritedAfterAnExecThatFailed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := &rig{startError: &process.StartError{Argv0: "app", Err: syscall.EACCES, Code: 126}}
	r.record = newRecord(t, dir)
	synctest.Test(t, func(t *testing.T) {
		if got := r.run(t, `{"mode":"exec"}`, func() {}); got.code != 126 {
			t.Fatalf("have %+v, want code 126", got)
		}
	})
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		n, _ := strconv.Atoi(fd.Name())
		if err != nil || !strings.HasPrefix(target, dir) {
			continue
		}
		found = true
		if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor %d of %s is inherited: flags %#x, %v", n, target, flags, err)
		}
	}
	if !found {
		t.Error("no descriptor of the record is open: nothing was checked")
	}
}

// errSilent is the error of a request to a server that does not answer.
var errSilent = errors.New("no answer")
