package record

import (
	"context"
	"errors"
	"log/slog"
	"maps"
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
// until ctx ends. If urgent it uses inotify, which also reports that a wrapper
// was killed. If not, it takes no inotify instance, of which a node has few,
// and notices a change within seconds. What is not a record is logged and
// counts as none. It needs no thread of its own, however many the records are.
//
// Give an out without a buffer. A Snapshot belongs to its reader.
func Watch(ctx context.Context, dir string, names []string, urgent bool, log *slog.Logger, out chan<- Snapshot) {
	newWatcher(dir, names, urgent, log).run(ctx, out)
}

// Look is one Snapshot of the named containers' records as they are now.
func Look(dir string, names []string) Snapshot {
	s := Snapshot{}
	for _, name := range names {
		if p, err := Read(filepath.Join(dir, name)); err == nil {
			s[name] = p
		}
	}
	return s.of(latest(records(dir)))
}

// of is a copy without what is over in a run.
func (s Snapshot) of(run int) Snapshot {
	s = maps.Clone(s)
	maps.DeleteFunc(s, func(_ string, p Peer) bool { return p.past(run) })
	return s
}

// watcher is the state of one Watch.
type watcher struct {
	dir    string
	names  []string
	urgent bool
	log    *slog.Logger
	rescan time.Duration
	now    Snapshot             // as last read
	latest int                  // the latest run seen
	told   map[string]time.Time // container → when its record was last complained of
	doubts map[string]doubt     // containers whose wrapper may be dead
	pace   pace
}

func newWatcher(dir string, names []string, urgent bool, log *slog.Logger) *watcher {
	return &watcher{
		dir: dir, names: names, urgent: urgent, log: log, rescan: rescan,
		now: Snapshot{}, told: map[string]time.Time{}, doubts: map[string]doubt{},
	}
}

func (w *watcher) run(ctx context.Context, out chan<- Snapshot) {
	changes, every := w.changes(ctx)
	tick := time.NewTicker(every)
	defer tick.Stop()
	w.latest = latest(records(w.dir)) // that of our own container, too
	w.look(w.names...)
	var sent Snapshot
	for polls := 0; ; {
		next, offer := w.now.of(w.latest), out
		if sent != nil && reflect.DeepEqual(next, sent) {
			offer = nil
		}
		began := time.Now()
		select {
		case offer <- next:
			sent = next
			continue
		case c := <-changes:
			began = time.Now()
			w.follow(c)
		case <-w.doubted():
			began = time.Now()
			w.resolve(began)
		case <-tick.C:
			began = time.Now()
			w.look(w.names...)
			if polls++; every == poll && polls%pollsOnce == 0 {
				changes, every = w.changes(ctx)
				tick.Reset(every)
			}
		case <-ctx.Done():
			return
		}
		w.pace.wait(ctx, time.Since(began))
	}
}

// changes reports changes, and how often to look without one.
func (w *watcher) changes(ctx context.Context) (<-chan change, time.Duration) {
	if !w.urgent {
		return nil, w.rescan
	}
	c, err := notify(ctx, w.dir, w.names)
	if err != nil {
		w.log.Info("records are read every "+poll.String(), "error", err)
		return nil, poll
	}
	return c, w.rescan
}

// follow looks at the records that may have changed.
func (w *watcher) follow(c change) {
	if c.all {
		w.look(w.names...)
	}
	for name, closed := range c.names {
		w.look(name)
		if closed {
			w.doubts[name] = doubt{due: time.Now().Add(delays[0])}
		}
	}
}

// delays are the pauses between the looks at a record after somebody has closed
// a file in its directory. The kernel reports that right before it releases the
// file's locks, so the first look is nearly always enough; the process that
// closes it can be interrupted in between.
var delays = [...]time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// doubt is a record whose holder may have ended.
type doubt struct {
	due   time.Time // of the next look
	looks int       // so far
}

// doubted is ready when the next doubt is due, never where there is none.
func (w *watcher) doubted() <-chan time.Time {
	if len(w.doubts) == 0 {
		return nil
	}
	next := time.Time{}
	for _, d := range w.doubts {
		if next.IsZero() || d.due.Before(next) {
			next = d.due
		}
	}
	return time.After(time.Until(next))
}

// resolve looks at the doubted records that are due, as long as they seem alive.
func (w *watcher) resolve(now time.Time) {
	for name, d := range w.doubts {
		if d.due.After(now) {
			continue
		}
		w.look(name)
		d.looks++
		if d.looks == len(delays) || !w.now[name].Alive {
			delete(w.doubts, name)
			continue
		}
		d.due = now.Add(delays[d.looks])
		w.doubts[name] = d
	}
}

// look reads records. One that is held and broken is being written, and still
// says what it said.
func (w *watcher) look(names ...string) {
	for _, container := range names {
		p, err := readNoted(filepath.Join(w.dir, container))
		w.tell(container, err)
		switch {
		case err == nil:
			w.now[container] = p
			w.latest = max(w.latest, p.Run)
		case !p.Alive:
			delete(w.now, container)
		}
	}
}

// tell logs what is wrong with a record, seldom.
func (w *watcher) tell(name string, err error) {
	if err == nil || errors.Is(err, os.ErrNotExist) || time.Since(w.told[name]) < quiet {
		return
	}
	w.told[name] = time.Now()
	w.log.Error("record not understood", "container", name, "error", err)
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
