package record

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// manyPeers is the number of living peers in the tests of a watch's cost.
const manyPeers = 50

// watchInTurn is the code of a separate process that watches many peers,
// alternately urgently and not, and prints the numbers of its threads and
// descriptors after each watch.
func watchInTurn(dir string) {
	for turn := range 9 {
		ctx, cancel := context.WithCancel(context.Background())
		out := make(chan Snapshot)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Peers{Dir: dir, Names: peers(), Log: slog.New(slog.DiscardHandler)}.Watch(ctx, turn%2 == 0, out)
		}()
		for s := range out {
			if len(s) == manyPeers {
				break
			}
		}
		time.Sleep(20 * time.Millisecond) // for threads that start late
		fmt.Println(entries("/proc/self/task"), entries("/proc/self/fd"))
		cancel()
		<-ended
	}
}

func entries(dir string) int {
	found, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	return len(found)
}

func peers() []string {
	var names []string
	for n := range manyPeers {
		names = append(names, "peer"+strconv.Itoa(n))
	}
	return names
}

func TestA2A3WatchingLivingPeersCostsNoThreadsAndNoDescriptors(t *testing.T) {
	dir := t.TempDir()
	for _, name := range peers() {
		r, err := create(place(t, dir, name), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "RECORD_TEST_WATCHER="+dir, "GOMAXPROCS=2")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := 0
	for turn := range 9 {
		var threads, files int
		if _, err := fmt.Fscan(out, &threads, &files); err != nil {
			t.Fatal(err)
		}
		if turn == 0 {
			first = files
		}
		if threads > 9 || files > first {
			t.Errorf("turn %d: %d threads, %d descriptors, want at most 9 and %d", turn, threads, files, first)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// renewing renews a record as fast as possible until the test is over.
func renewing(t *testing.T, r *Record) {
	t.Helper()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			default:
			}
			if err := r.Update(State{Phase: "running", Started: true, For: []string{strconv.Itoa(n)}}); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	t.Cleanup(func() { close(over); <-ended })
}

func TestA17APeerThatRenewsItsRecordAllTheTimeIsNeverDead(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "record-") //nolint:usetesting // where records lie in a pod, and renaming is quick
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := place(t, dir, "peer")
	r, err := create(at, true)
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, dir, "peer")
	f.until(t, "alive", func(s Snapshot) bool { return s["peer"].Alive })
	renewing(t, r)
	for n := range 5_000 {
		select {
		case s := <-f.out:
			if p, there := s["peer"]; !there || !p.Alive {
				t.Fatalf("watched, after %d looks: %+v", n, p)
			}
		default:
			if p, err := Read(at); err == nil && !p.Alive {
				t.Fatalf("looked at %d times: %+v", n, p)
			}
		}
	}
}

// TestADeathIsNoticedWithoutARescan covers the different ways in which the
// holder of a record can end.
func TestADeathIsNoticedWithoutARescan(t *testing.T) {
	tests := map[string]func(t *testing.T, at string) (end func()){
		"killed while it waits": func(t *testing.T, at string) func() {
			_, kill := wrapperProcess(t, at)
			return kill
		},
		"killed after the start": func(t *testing.T, at string) func() {
			next, kill := wrapperProcess(t, at)
			next()
			return kill
		},
		"A2 a command that inherited the record": func(t *testing.T, at string) func() {
			r, err := create(at, true)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sleep", "1000")
			cmd.ExtraFiles = []*os.File{r.file}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			r.file.Close()
			return func() { cmd.Process.Kill(); cmd.Wait() }
		},
	}
	for name, begin := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := &follower{out: make(chan Snapshot)}
			w := newWatcher(Peers{Dir: dir, Names: []string{"peer"}, Log: slog.New(slog.NewTextHandler(f, nil))}, true)
			w.rescan = time.Hour
			end := begin(t, place(t, dir, "peer"))
			go w.run(t.Context(), f.out)
			f.until(t, "alive", func(s Snapshot) bool { return s["peer"].Alive })
			end()
			f.until(t, "dead", func(s Snapshot) bool { return s["peer"].Gone() })
		})
	}
}

func TestARecordIsLookedAtAgainWhileItsHolderEnds(t *testing.T) {
	dir := t.TempDir()
	at := place(t, dir, "peer")
	r, err := create(at, true)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(onlyPeer(dir), true)
	w.follow(change{names: map[string]bool{"peer": true}}) // its holder has not released the lock
	if !w.now["peer"].Alive || len(w.doubts) != 1 {
		t.Fatalf("have %+v, doubts %v", w.now, w.doubts)
	}
	now := w.doubts["peer"].due
	w.resolve(now.Add(-1)) // not due
	for n := range len(delays) - 1 {
		if w.resolve(now); !w.now["peer"].Alive || w.doubts["peer"].looks != n+1 {
			t.Fatalf("look %d: %+v, doubts %v", n, w.now, w.doubts)
		}
		now = w.doubts["peer"].due
	}
	r.file.Close()
	if w.resolve(now); !w.now["peer"].Gone() || len(w.doubts) != 0 || w.doubted() != nil {
		t.Fatalf("have %+v, doubts %v", w.now, w.doubts)
	}
	w.follow(change{names: map[string]bool{filepath.Base(at): false}})
	if len(w.doubts) != 0 {
		t.Fatalf("doubts without a close: %v", w.doubts)
	}
}
