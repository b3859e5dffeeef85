package record

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// follower is a Watch and its log.
type follower struct {
	out  chan Snapshot
	mu   sync.Mutex
	text bytes.Buffer
}

func (f *follower) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.Write(b)
}

func (f *follower) log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

func follow(t *testing.T, dir string, names ...string) *follower {
	t.Helper()
	f := &follower{out: make(chan Snapshot)}
	go Peers{Dir: dir, Names: names, Log: slog.New(slog.NewTextHandler(f, nil))}.Watch(t.Context(), true, f.out)
	return f
}

// onlyPeer returns one container whose records are in dir, without a log.
func onlyPeer(dir string) Peers {
	return Peers{Dir: dir, Names: []string{"peer"}, Log: slog.New(slog.DiscardHandler)}
}

// until receives snapshots until one meets the condition.
func (f *follower) until(t *testing.T, what string, ok func(Snapshot) bool) Snapshot {
	t.Helper()
	over := time.After(2 * time.Minute)
	var last Snapshot
	for {
		select {
		case last = <-f.out:
			if ok(last) {
				return last
			}
		case <-over:
			t.Fatalf("never %s; last %+v; log %s", what, last, f.log())
		}
	}
}

// wrapperProcess starts a process that keeps a record. next makes it start its
// command and then, the second time, end.
func wrapperProcess(t *testing.T, dir string) (next func(), kill func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "RECORD_TEST_WRAPPER="+dir, "RECORD_TEST_START=yes")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	t.Cleanup(kill)
	return func() { in.Write([]byte("\n")) }, kill
}

func place(t *testing.T, dir, name string) string {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.Mkdir(at, 0o777); err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWatchFollowsAPeerToItsDeath(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, dir, "peer")
	f.until(t, "nothing", func(s Snapshot) bool { return len(s) == 0 })
	next, kill := wrapperProcess(t, place(t, dir, "peer"))
	s := f.until(t, "waiting", func(s Snapshot) bool { return len(s["peer"].For) == 1 })
	if p := s["peer"]; !p.Alive || p.Started || !p.KilledForGood || p.Gone() {
		t.Fatalf("waiting peer: %+v", p)
	}
	next()
	f.until(t, "started", func(s Snapshot) bool { return s["peer"].Started && s["peer"].Alive })
	kill()
	p := f.until(t, "gone", func(s Snapshot) bool { return s["peer"].Gone() })["peer"]
	if !p.Started || p.Alive || p.Exit != nil {
		t.Fatalf("killed peer: %+v", p)
	}

	r, err := create(filepath.Join(dir, "peer"), true)
	if err != nil {
		t.Fatal(err)
	}
	p = f.until(t, "alive again", func(s Snapshot) bool { return s["peer"].Alive })["peer"]
	if p.Started || !p.Before || p.Phase != "waiting" {
		t.Fatalf("own-08 the next incarnation: %+v", p)
	}
	if err := r.Update(State{Phase: "exited", Started: true, Exit: &Exit{Code: 3, ForGood: true, Reason: "so"}}); err != nil {
		t.Fatal(err)
	}
	p = f.until(t, "exited", func(s Snapshot) bool { return s["peer"].Exit != nil })["peer"]
	if *p.Exit != (Exit{Code: 3, ForGood: true, Reason: "so"}) || p.Gone() {
		t.Fatalf("peer that exited: %+v", p)
	}
}

func TestWatchWithoutNotificationsPolls(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later") // a directory that does not exist cannot be watched
	f := follow(t, dir, "peer")
	f.until(t, "nothing", func(s Snapshot) bool { return len(s) == 0 })
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	next, kill := wrapperProcess(t, place(t, dir, "peer"))
	f.until(t, "waiting", func(s Snapshot) bool { return s["peer"].Alive })
	next()
	f.until(t, "started", func(s Snapshot) bool { return s["peer"].Started })
	kill()
	f.until(t, "gone", func(s Snapshot) bool { return s["peer"].Gone() })
	if !strings.Contains(f.log(), "records are read every 50ms") {
		t.Errorf("log: %s", f.log())
	}
}

func TestWatchPollsOnceADirectoryCannotBeWatched(t *testing.T) {
	dir := t.TempDir()
	f := follow(t, dir, "peer")
	f.until(t, "nothing", func(s Snapshot) bool { return len(s) == 0 })
	if err := os.WriteFile(filepath.Join(dir, "peer"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(f.log(), "records are read every 50ms"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("log: %s", f.log())
		}
	}
	if err := os.Remove(filepath.Join(dir, "peer")); err != nil {
		t.Fatal(err)
	}
	next, _ := wrapperProcess(t, place(t, dir, "peer"))
	f.until(t, "waiting", func(s Snapshot) bool { return s["peer"].Alive })
	next()
	f.until(t, "started", func(s Snapshot) bool { return s["peer"].Started })
}

// TestWatchIsSeldomWhereNothingChanges uses fake time, and notifications from
// the test.
func TestWatchIsSeldomWhereNothingChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		after func(t *testing.T, peer string, changes chan<- change, out <-chan Snapshot) // after an hour
		want  time.Duration                                                               // the final pause
	}{
		"nothing": {func(*testing.T, string, chan<- change, <-chan Snapshot) {}, longestRescan},
		"a record": {func(t *testing.T, peer string, _ chan<- change, out <-chan Snapshot) {
			if _, err := create(peer, true); err != nil {
				t.Error(err)
			}
			if s := <-out; !s["peer"].Alive {
				t.Errorf("records %v, want that of a wrapper", s)
			}
		}, rescan},
		"a change that nothing has come of yet": {func(_ *testing.T, _ string, changes chan<- change, _ <-chan Snapshot) {
			changes <- change{names: map[string]bool{"peer": false}}
		}, rescan},
		"no more notifications": {func(_ *testing.T, _ string, changes chan<- change, _ <-chan Snapshot) {
			changes <- change{all: true, failed: unix.ENOSPC}
		}, poll},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			peer := place(t, dir, "peer")
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				out, ended, changes := make(chan Snapshot), make(chan struct{}), make(chan change)
				w := newWatcher(onlyPeer(dir), true)
				w.notify = func(context.Context, string, []string) (<-chan change, error) { return changes, nil }
				go func() {
					defer close(ended)
					w.run(ctx, out)
				}()
				if s := <-out; len(s) != 0 {
					t.Errorf("records %v, want none", s)
				}
				time.Sleep(time.Hour)
				tc.after(t, peer, changes, out)
				synctest.Wait()
				cancel()
				<-ended
				if w.pause != tc.want {
					t.Errorf("the pause is %s, want %s", w.pause, tc.want)
				}
			})
		})
	}
}

// TestWatchRestsWhereNobodyTakesWhatItSends uses a reader that is busy for an
// hour.
func TestWatchRestsWhereNobodyTakesWhatItSends(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := newWatcher(onlyPeer(dir), false)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.run(ctx, make(chan Snapshot))
		}()
		time.Sleep(time.Hour)
		cancel()
		<-ended
		if w.pause != longestRescan {
			t.Errorf("the pause is %s, want %s", w.pause, longestRescan)
		}
	})
}

func TestWatchOutlivesWhatAHostileContainerPutsInItsPlace(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a FIFO":                        func(p string) error { return unix.Mkfifo(p, 0o666) },
		"a link to a device":            func(p string) error { return os.Symlink("/dev/zero", p) },
		"a device":                      func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, 1<<8|5) },
		"a directory":                   func(p string) error { return os.Mkdir(p, 0o755) },
		"tek-02 an empty file":          func(p string) error { return os.WriteFile(p, nil, 0o644) },
		"tek-02 half a record":          func(p string) error { return os.WriteFile(p, []byte(`{"phase":"run`), 0o644) },
		"a huge file":                   func(p string) error { return os.Truncate(mustCreate(p), 1<<40) },
		"an exit code that is none":     func(p string) error { return os.WriteFile(p, []byte(`{"exit":{"code":-1}}`), 0o644) },
		"a nest of brackets":            func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("["), maxSize), 0o644) },
		"a record of the wrong types":   func(p string) error { return os.WriteFile(p, []byte(`{"started":1}`), 0o644) },
		"a link to another's directory": func(p string) error { return os.Symlink("../peer/record", p) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			hostile, peer := place(t, dir, "hostile"), place(t, dir, "peer")
			f := follow(t, dir, "hostile", "peer")
			if err := plant(filepath.Join(hostile, "draft")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(hostile, "draft"), filepath.Join(hostile, "record")); err != nil {
				t.Fatal(err)
			}
			r, err := create(peer, true)
			if err != nil {
				t.Fatal(err)
			}
			s := f.until(t, "the peer", func(s Snapshot) bool { return s["peer"].Alive })
			if _, there := s["hostile"]; there {
				t.Errorf("believed: %+v", s["hostile"])
			}
			if err := r.Update(State{Phase: "running", Started: true}); err != nil {
				t.Fatal(err)
			}
			f.until(t, "the peer's start", func(s Snapshot) bool { return s["peer"].Started })
			if !strings.Contains(f.log(), "record not understood") || strings.Count(f.log(), "\n") != 1 {
				t.Errorf("log, want one line about it: %s", f.log())
			}
		})
	}
}

func TestOnlyAFileInItsPlaceIsAChange(t *testing.T) {
	n := notifier{watched: map[int]string{1: "peer"}}
	event := func(mask uint32, file string) []byte {
		name := make([]byte, (len(file)/16+1)*16)
		copy(name, file)
		e := unix.InotifyEvent{Wd: 1, Mask: mask, Len: uint32(len(name))}
		head, err := binary.Append(nil, binary.NativeEndian, e)
		if err != nil {
			t.Fatal(err)
		}
		return append(head, name...)
	}
	for _, tt := range []struct {
		mask uint32
		file string
		want map[string]bool
	}{
		{unix.IN_MODIFY, "#29511", nil}, // a file without a name
		{unix.IN_CREATE, draft, nil},
		{unix.IN_CLOSE_WRITE, draft, nil},
		{unix.IN_MOVED_TO, name, map[string]bool{"peer": false}},
		{unix.IN_MODIFY, name, map[string]bool{"peer": false}},
		{unix.IN_DELETE, name, map[string]bool{"peer": false}},
		{unix.IN_CREATE, stopping + "7", map[string]bool{"peer": false}},
		{unix.IN_CLOSE_WRITE, name, map[string]bool{"peer": true}},
		{unix.IN_CLOSE_WRITE, "#29511", map[string]bool{"peer": true}},
	} {
		if c := n.changed(event(tt.mask, tt.file)); c.all || !maps.Equal(c.names, tt.want) {
			t.Errorf("mask %#x, %q: have %+v, want %v", tt.mask, tt.file, c, tt.want)
		}
	}
	both := append(event(unix.IN_CLOSE_WRITE, name), event(unix.IN_MOVED_TO, name)...)
	if c := n.changed(both); !c.names["peer"] {
		t.Errorf("have %+v, want a close", c)
	}
}

func mustCreate(path string) string {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		panic(err)
	}
	return path
}

func TestARecordThatNobodyHoldsIsNoLife(t *testing.T) {
	dir := t.TempDir()
	data, err := json.Marshal(State{Phase: "running", Started: true, Ready: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place(t, dir, "a"), name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := Read(filepath.Join(dir, "a"))
	if err != nil || p.Alive || !p.Gone() {
		t.Fatalf("have %+v, %v, want one that is gone", p, err)
	}
	f, err := open(filepath.Join(dir, "a", name)) // like a reader
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := setLock(f, alive, unix.F_WRLCK); !errors.Is(err, unix.EBADF) {
		t.Fatalf("a reader took the write lock: %v", err)
	}
	if err := setLock(f, alive, unix.F_RDLCK); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(filepath.Join(dir, "a")); err != nil || p.Alive {
		t.Fatalf("a read lock is taken for a life: %+v, %v", p, err)
	}
}

func TestAFloodOfChangesDoesNotHideAPeer(t *testing.T) {
	dir := t.TempDir()
	hostile, peer := place(t, dir, "hostile"), place(t, dir, "peer")
	f := follow(t, dir, "hostile", "peer")
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			default:
				os.WriteFile(filepath.Join(hostile, "x"), []byte("x"), 0o644)
				os.Rename(filepath.Join(hostile, "x"), filepath.Join(hostile, "record"))
			}
		}
	}()
	if _, err := create(peer, false); err != nil {
		t.Fatal(err)
	}
	f.until(t, "the peer", func(s Snapshot) bool { return s["peer"].Alive })
	close(over)
	<-ended
}

func TestAHookIsKnownBeforeItsWrapperHears(t *testing.T) {
	dir := t.TempDir()
	at := place(t, dir, "main")
	if err := Stopping(at); err == nil {
		t.Fatal("noted without a record")
	}
	r, err := create(at, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "running", Started: true}); err != nil {
		t.Fatal(err)
	}
	f := follow(t, dir, "main")
	f.until(t, "running", func(s Snapshot) bool { return s["main"].Started && !s["main"].Stopping })
	if err := Stopping(at); err != nil {
		t.Fatal(err)
	}
	f.until(t, "stopping", func(s Snapshot) bool { return s["main"].Stopping })
	if _, err := create(at, false); err != nil { // the next incarnation
		t.Fatal(err)
	}
	f.until(t, "the next incarnation, which is not", func(s Snapshot) bool { return !s["main"].Stopping && !s["main"].Started })
}

func TestTheTimeSinceAHookBegan(t *testing.T) {
	at := place(t, t.TempDir(), "main")
	r, err := create(at, false)
	if err != nil {
		t.Fatal(err)
	}
	if r.Noted() || r.SinceNoted() != 0 {
		t.Errorf("no hook: noted %t, %s", r.Noted(), r.SinceNoted())
	}
	before := Now()
	if err := Stopping(at); err != nil {
		t.Fatal(err)
	}
	first := r.SinceNoted()
	if !r.Noted() || first <= 0 || first > before.Age() {
		t.Errorf("a hook: noted %t, %s", r.Noted(), first)
	}
	if later := r.SinceNoted(); later <= first {
		t.Errorf("%s, and then %s", first, later)
	}
	for _, text := range []string{"", "x", "9223372036854775807"} { // an empty note is that of a full volume
		if err := os.WriteFile(r.note(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if !r.Noted() || r.SinceNoted() != 0 {
			t.Errorf("%q: noted %t, %s", text, r.Noted(), r.SinceNoted())
		}
	}
}

func TestAFullVolumeLosesNoRecord(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := Prepare(dir, []string{"early", "late", "hostile"}); err != nil {
		t.Fatal(err)
	}
	early, err := create(filepath.Join(dir, "early"), true)
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(filepath.Join(dir, "hostile", "fill"), make([]byte, 1<<20), 0o644)
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the volume is not full: %v", err)
	}
	f := follow(t, dir, "early", "late")
	late, err := create(filepath.Join(dir, "late"), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Record{early, late} {
		if err := r.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
	}
	f.until(t, "both started", func(s Snapshot) bool {
		return s["early"].Started && s["early"].Alive && s["late"].Started && s["late"].Alive
	})
	if _, err := Gate(filepath.Join(dir, "late"), time.Second, time.Second); err != nil {
		t.Errorf("gate: %v", err)
	}
	if err := late.Update(State{Phase: "exited", Started: true, Exit: &Exit{Code: 7, ForGood: true}}); err != nil {
		t.Fatal(err)
	}
	f.until(t, "the exit", func(s Snapshot) bool { return s["late"].Exit != nil && s["late"].Exit.Code == 7 })
}

// TestAVolumeWithoutInodesLosesNoChange uses a reader that does not read again
// without a notification.
func TestAVolumeWithoutInodesLosesNoChange(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := Prepare(dir, []string{"peer", "hostile"}); err != nil {
		t.Fatal(err)
	}
	r, err := create(filepath.Join(dir, "peer"), true)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; err == nil; n++ {
		err = os.WriteFile(filepath.Join(dir, "hostile", strconv.Itoa(n)), nil, 0o644)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the volume is not full: %v", err)
	}
	out := make(chan Snapshot)
	w := newWatcher(onlyPeer(dir), true)
	w.rescan = time.Hour
	go w.run(t.Context(), out)
	f := &follower{out: out}
	f.until(t, "waiting", func(s Snapshot) bool { return s["peer"].Alive })
	for _, state := range []State{{Phase: "running", Started: true}, {Phase: "stopping", Started: true, Ending: true}} {
		if err := r.Update(state); err != nil {
			t.Fatal(err)
		}
		f.until(t, state.Phase, func(s Snapshot) bool { return s["peer"].Phase == state.Phase })
	}
}

func TestTheNextIncarnationOnAFullVolumeHasARecordToo(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := Prepare(dir, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 1<<20), 0o644); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the volume is not full: %v", err)
	}
	at := filepath.Join(dir, "a")
	for incarnation := range 3 {
		r, err := create(at, true)
		if err != nil {
			t.Fatalf("incarnation %d: %v", incarnation, err)
		}
		if err := r.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
		if p, err := Read(at); err != nil || !p.Alive || !p.Started || p.Before != (incarnation > 0) {
			t.Fatalf("incarnation %d: %+v, %v", incarnation, p, err)
		}
		r.file.Close() // its wrapper is gone
	}
}

func TestNobodyKeepsAContainerFromItsRecord(t *testing.T) {
	dir := t.TempDir()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() { // a hostile peer that has the directory mounted read-only
		defer close(ended)
		held := map[string]*os.File{}
		for {
			select {
			case <-over:
				return
			default:
			}
			for _, file := range []string{name, draft} {
				if f, err := open(filepath.Join(dir, file)); err == nil {
					_ = setLock(f, alive, unix.F_RDLCK) // EAGAIN if the record is held
					if before := held[file]; before != nil {
						before.Close()
					}
					held[file] = f
				}
			}
		}
	}()
	for range 200 {
		r, err := create(dir, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
		if err := r.Update(State{Phase: "exited", Started: true, Exit: &Exit{ForGood: true}}); err != nil {
			t.Fatal(err)
		}
		r.file.Close()
		r.gate.Close()
	}
	close(over)
	<-ended
}

func TestAPeerThatKeepsItsOldRecordsCostsNoThreads(t *testing.T) {
	dir := t.TempDir()
	at := place(t, dir, "hostile")
	f := follow(t, dir, "hostile")
	before := runtime.NumGoroutine()
	for n := range 300 {
		r, err := create(at, true) // none of them is ever closed
		if err != nil {
			t.Fatal(err)
		}
		if n%100 == 99 {
			f.until(t, "the latest", func(s Snapshot) bool { return s["hostile"].Since.Boot == r.last.Since.Boot })
		}
	}
	if now := runtime.NumGoroutine(); now > before+10 {
		t.Errorf("%d goroutines, before it were %d", now, before)
	}
}

func TestWhatARecordSaysIsBounded(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("<", 60_000) + "\nmore"
	var all []string
	for n := range 500 {
		all = append(all, strings.Repeat("x", 60)+strconv.Itoa(n))
	}
	if err := r.Update(State{Phase: "exited", For: all, Exit: &Exit{Code: 1, Reason: "\x1b[2J" + long}}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || info.Size() > room {
		t.Fatalf("have %v, %v, want at most %d bytes", info.Size(), err, room)
	}
	p, err := Read(dir)
	if err != nil || len(p.Exit.Reason) > 310 || strings.ContainsAny(p.Exit.Reason, "\x1b\n") {
		t.Fatalf("reason %q, %v", p.Exit.Reason, err)
	}
}

func TestPrepareClearsWhatAnEarlierSandboxLeft(t *testing.T) {
	t.Run("kube-term-13 records of an earlier sandbox are gone", func(t *testing.T) {
		dir := t.TempDir()
		old := place(t, dir, "main")
		if _, err := create(old, false); err != nil {
			t.Fatal(err)
		}
		if err := Prepare(dir, []string{"main", "proxy"}); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(old); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("have %v, want no record", err)
		}
		for _, name := range []string{"main", "proxy"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != 0o777 {
				t.Fatalf("the place of %s: %v, %v, want one that any user may write to", name, info, err)
			}
		}
	})
}

func TestARecordOutlivesItsWrapperInTheCommand(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "running", Started: true, Process: &self}); err != nil {
		t.Fatal(err)
	}
	r.shut.Close() // like the exec
	r.file.Close() // like a command that closes all descriptors that it does not know
	r.gate.Close()
	if p, err := Read(dir); err != nil || p.Alive {
		t.Fatalf("have %+v, %v, want a record that is not held", p, err)
	}
	if at, err := Gate(dir, time.Second, time.Second); err != nil || at.IsZero() {
		t.Errorf("gate, whose command lives: %v, %v", at, err)
	}
	self.Began++ // the PID belongs to another process now
	if err := r.Update(State{Phase: "running", Started: true, Process: &self}); err != nil {
		t.Fatal(err)
	}
	r.shut.Close()
	r.file.Close()
	if _, err := Gate(dir, 50*time.Millisecond, 50*time.Millisecond); err == nil {
		t.Error("the gate passed for a process that is gone")
	}
}

// FuzzRecord checks a reader's guarantees for arbitrary content of a record.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"phase":"running","since":{"wall":"2026-01-02T03:04:05Z","boot":7},"started":true,"ready":true}`))
	f.Add([]byte(`{"phase":"exited","since":{"wall":"2026-01-02T03:04:05Z","boot":7},"exit":{"code":137,"forGood":true,"reason":"killed"}}`))
	f.Add([]byte(`{"process":{"pid":1,"began":18446744073709551615},"for":["a to exit"]}   `))
	f.Add([]byte(`{"since":{"wall":"9999-12-31T23:59:59Z","boot":-1},"exit":{"code":256}}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := Read(dir)
		if err == nil && (p.Alive || p.Exit != nil && (p.Exit.Code < 0 || p.Exit.Code > 255)) {
			t.Fatalf("believed %+v", p)
		}
	})
}

// BenchmarkExit measures the time from an exit in one wrapper's record to
// another wrapper's snapshot.
func BenchmarkExit(b *testing.B) {
	dir := b.TempDir()
	at := filepath.Join(dir, "peer")
	if err := os.Mkdir(at, 0o777); err != nil {
		b.Fatal(err)
	}
	out := make(chan Snapshot)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go onlyPeer(dir).Watch(ctx, true, out)
	<-out
	for b.Loop() {
		b.StopTimer()
		r, err := create(at, true)
		if err != nil {
			b.Fatal(err)
		}
		for s := range out {
			if s["peer"].Alive && s["peer"].Exit == nil {
				break
			}
		}
		time.Sleep(10 * gap) // the pace limits only floods
		b.StartTimer()
		if err := r.Update(State{Phase: "exited", Exit: &Exit{}}); err != nil {
			b.Fatal(err)
		}
		for s := range out {
			if s["peer"].Exit != nil {
				break
			}
		}
		b.StopTimer()
		r.file.Close()
		b.StartTimer()
	}
}
