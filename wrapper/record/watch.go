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
	// to spare (fs.inotify.max_user_instances, 128 per user and node by default),
	// and retry how long until it is asked again.
	poll      = 50 * time.Millisecond
	pollsOnce = int(time.Minute / poll)
	// quiet is how long nothing more is said about one container's record.
	quiet = time.Minute
)

// Watch sends a Snapshot of the named containers' records, which lie in
// directories of these names in dir, at once and whenever they have changed,
// until ctx ends. It hears of a killed wrapper through the lock on its record,
// and of other changes through inotify if urgent; if not, it takes no inotify
// instance, of which a node has few, and hears within seconds. What is not a
// record is logged and counts as none.
//
// Give an out without a buffer. A Snapshot belongs to its reader.
func Watch(ctx context.Context, dir string, names []string, urgent bool, log *slog.Logger, out chan<- Snapshot) {
	w := &watcher{
		dir: dir, names: names, urgent: urgent, log: log,
		told:   map[string]time.Time{},
		guards: map[string][]os.FileInfo{},
		died:   make(chan death),
	}
	w.run(ctx, out)
}

// Look is one Snapshot of the named containers' records as they are now.
func Look(dir string, names []string) Snapshot {
	s := Snapshot{}
	for _, name := range names {
		if p, err := Read(filepath.Join(dir, name)); err == nil {
			s[name] = p
		}
	}
	return s
}

// watcher is the state of one Watch.
type watcher struct {
	dir    string
	names  []string
	urgent bool
	log    *slog.Logger
	last   Snapshot
	told   map[string]time.Time     // container → when its record was last complained of
	guards map[string][]os.FileInfo // container → the records whose locks are being waited for
	died   chan death
	pace   pace
}

// death is the release of a container's record.
type death struct {
	name   string
	record os.FileInfo
}

func (w *watcher) run(ctx context.Context, out chan<- Snapshot) {
	changes, every := w.changes(ctx)
	tick := time.NewTicker(every)
	defer tick.Stop()
	var sent Snapshot
	for polls := 1; ; polls++ {
		began := time.Now()
		now := w.scan(ctx)
		w.last = now
		cost := time.Since(began)
		if every == poll && polls%pollsOnce == 0 {
			changes, every = w.changes(ctx)
			tick.Reset(every)
		}
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
			case d := <-w.died:
				w.unguard(d)
				again = true
			case <-tick.C:
				again = true
			case <-ctx.Done():
				return
			}
		}
		w.pace.wait(ctx, cost)
	}
}

// changes tells of changes, and how often to look all the same.
func (w *watcher) changes(ctx context.Context) (<-chan struct{}, time.Duration) {
	if !w.urgent {
		return nil, rescan
	}
	c, err := notify(ctx, w.dir, w.names)
	if err != nil {
		w.log.Info("records are read every "+poll.String(), "error", err)
		return nil, poll
	}
	return c, rescan
}

// scan reads every record, and sees to it that its wrapper's death is heard. A
// record that is held and broken is being written, and still says what it said.
func (w *watcher) scan(ctx context.Context) Snapshot {
	s := Snapshot{}
	for _, name := range w.names {
		dir := filepath.Join(w.dir, name)
		p, f, err := read(filepath.Join(dir, "record"))
		w.tell(name, err)
		if err != nil {
			if before, known := w.last[name]; known && p.Alive {
				s[name] = before
			}
			continue
		}
		s[name] = p.noted(dir)
		if !p.Alive || p.Exit != nil || !w.guard(ctx, name, f) {
			f.Close()
		}
	}
	return s
}

// tell logs what is wrong with a record, seldom.
func (w *watcher) tell(name string, err error) {
	if err == nil || errors.Is(err, os.ErrNotExist) || time.Since(w.told[name]) < quiet {
		return
	}
	w.told[name] = time.Now()
	w.log.Error("record not understood", "container", name, "error", err)
}

// mostGuards bounds the locks waited for at a time for one container: its
// present record and the one before.
const mostGuards = 2

// guard sleeps in the kernel until the wrapper that holds f is gone, unless
// somebody does already, or too many do: a wrapper holds two records at most,
// and whoever holds more is none. It keeps f if so. The goroutine ends when the
// wrapper does, or with this process.
func (w *watcher) guard(ctx context.Context, name string, f *os.File) bool {
	info, err := f.Stat()
	if err != nil || len(w.guards[name]) >= mostGuards {
		return false
	}
	for _, guarded := range w.guards[name] {
		if os.SameFile(info, guarded) {
			return false
		}
	}
	w.guards[name] = append(w.guards[name], info)
	go func() {
		released(f, alive)
		f.Close()
		select {
		case w.died <- death{name, info}:
		case <-ctx.Done():
		}
	}()
	return true
}

// unguard forgets a record that was released.
func (w *watcher) unguard(d death) {
	left := w.guards[d.name][:0]
	for _, guarded := range w.guards[d.name] {
		if !os.SameFile(guarded, d.record) {
			left = append(left, guarded)
		}
	}
	w.guards[d.name] = left
}

// pace bounds how often something is done at others' bidding: burst times at
// once, in the long run once in gap, and never more than a fifth of the time.
type pace struct {
	credit time.Duration
	last   time.Time
}

const (
	burst = 100
	gap   = time.Millisecond
)

// wait waits, if it must, after something that took cost.
func (p *pace) wait(ctx context.Context, cost time.Duration) {
	now := time.Now()
	if p.last.IsZero() {
		p.credit = burst * gap
	} else {
		p.credit = min(burst*gap, p.credit+now.Sub(p.last))
	}
	p.last = now
	price := max(gap, 5*cost)
	p.credit -= price
	if p.credit >= 0 {
		return
	}
	select {
	case <-time.After(price):
	case <-ctx.Done():
	}
}
