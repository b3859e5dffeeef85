package record

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"time"
)

// Snapshot holds the records of other containers by name. A container is
// missing in it while it has none, or one that is broken.
type Snapshot map[string]Peer

const (
	// rescan is how often records are read although nothing told of a change.
	rescan = 5 * time.Second
	// poll is how often they are read where the kernel has no inotify instance
	// to spare (fs.inotify.max_user_instances, 128 per user and node by default).
	poll = 50 * time.Millisecond
)

// Watch sends a Snapshot of the named containers' records, which lie in
// directories of these names in dir, at once and whenever they have changed,
// until ctx ends. It hears of a change through inotify, and of a killed wrapper
// through the lock on its record. What is not a record is logged once and
// counts as none.
//
// Give an out without a buffer. A Snapshot belongs to its reader.
func Watch(ctx context.Context, dir string, names []string, log *slog.Logger, out chan<- Snapshot) {
	w := &watcher{
		dir: dir, names: names, log: log,
		told:   map[string]string{},
		guards: map[string]os.FileInfo{},
		died:   make(chan string),
	}
	w.run(ctx, out)
}

// watcher is the state of one Watch.
type watcher struct {
	dir    string
	names  []string
	log    *slog.Logger
	told   map[string]string      // container → what was last said about its record
	guards map[string]os.FileInfo // container → the record whose lock is being waited for
	died   chan string            // the container whose record was released
	pace   pace
}

func (w *watcher) run(ctx context.Context, out chan<- Snapshot) {
	changes, every := w.changes(ctx)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var sent Snapshot
	for {
		now := w.scan(ctx)
		offer := out
		if sent != nil && reflect.DeepEqual(now, sent) {
			offer = nil
		}
		again := false
		for !again {
			select {
			case offer <- now:
				sent, offer = now, nil
			case <-changes:
				again = true
			case name := <-w.died:
				delete(w.guards, name)
				again = true
			case <-tick.C:
				again = true
			case <-ctx.Done():
				return
			}
		}
		w.pace.wait(ctx)
	}
}

// changes tells of changes, and how often to look all the same.
func (w *watcher) changes(ctx context.Context) (<-chan struct{}, time.Duration) {
	c, err := notify(ctx, w.dir, w.names)
	if err != nil {
		w.log.Info("records are read every "+poll.String(), "error", err)
		return nil, poll
	}
	return c, rescan
}

// scan reads every record, and sees to it that its wrapper's death is heard.
func (w *watcher) scan(ctx context.Context) Snapshot {
	s := Snapshot{}
	for _, name := range w.names {
		dir := filepath.Join(w.dir, name)
		p, f, err := read(filepath.Join(dir, "record"))
		w.tell(name, err)
		if err != nil {
			continue
		}
		s[name] = p.noted(dir)
		if !p.Alive || p.Exit != nil || !w.guard(ctx, name, f) {
			f.Close()
		}
	}
	return s
}

// tell logs what is wrong with a record, once.
func (w *watcher) tell(name string, err error) {
	text := ""
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		text = err.Error()
		if w.told[name] != text {
			w.log.Error("record not understood", "container", name, "error", err)
		}
	}
	w.told[name] = text
}

// guard sleeps in the kernel until the wrapper that holds f is gone, unless
// somebody does already. It keeps f if so. The goroutine ends when the wrapper
// does, or with this process.
func (w *watcher) guard(ctx context.Context, name string, f *os.File) bool {
	info, err := f.Stat()
	if err != nil || os.SameFile(info, w.guards[name]) {
		return false
	}
	w.guards[name] = info
	go func() {
		defer f.Close()
		released(f, alive)
		select {
		case w.died <- name:
		case <-ctx.Done():
		}
	}()
	return true
}

// pace bounds how often records are read, whatever others do with theirs: at
// most burst times at once, and once in gap in the long run.
type pace struct {
	credit time.Duration
	last   time.Time
}

const (
	burst = 100
	gap   = time.Millisecond
)

func (p *pace) wait(ctx context.Context) {
	now := time.Now()
	if p.last.IsZero() {
		p.credit = burst * gap
	} else {
		p.credit = min(burst*gap, p.credit+now.Sub(p.last))
	}
	p.last = now
	p.credit -= gap
	if p.credit >= 0 {
		return
	}
	select {
	case <-time.After(gap):
	case <-ctx.Done():
	}
}
