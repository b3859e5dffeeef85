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

// Snapshot contains the records of other containers by name. A container
// without a valid record is missing.
type Snapshot map[string]Peer

const (
	// rescan is how soon records are read again without a notification. The pause
	// doubles up to longestRescan as long as the records stay the same and no
	// change is reported, so that an idle pod costs nothing.
	rescan        = 5 * time.Second
	longestRescan = 10 * time.Minute
	// poll is how often records are read if the kernel has no inotify instance
	// left (fs.inotify.max_user_instances, 128 per user and node by default).
	// After pollsOnce polls the watcher requests an instance again.
	poll      = 50 * time.Millisecond
	pollsOnce = int(time.Minute / poll)
	// quiet is the minimum time between two log lines about the record of one
	// container.
	quiet = time.Minute
)

// Peers are the containers whose records are read.
type Peers struct {
	Dir   string   // contains a subdirectory of each container
	Names []string // of the containers
	Run   int      // the run of the reader's own container
	Log   *slog.Logger
}

// Now returns the present records.
func (p Peers) Now() Snapshot {
	s, run := Snapshot{}, p.Run
	for _, name := range p.Names {
		if peer, err := Read(filepath.Join(p.Dir, name)); err == nil {
			s[name], run = peer, max(run, peer.Run)
		}
	}
	return s.of(run)
}

// Watch sends a Snapshot immediately and after each change, until ctx ends. If
// urgent, Watch uses inotify, which also reports that a wrapper was killed.
// Otherwise it uses no inotify instance, which is a scarce resource of a node,
// and detects a change when it reads the records again: after 5 s at first, and
// after 10 minutes if they have not changed for a long time. It logs invalid
// records and otherwise ignores them. It needs no thread of its own, regardless
// of the number of records.
//
// out must not have a buffer. A Snapshot belongs to its reader.
func (p Peers) Watch(ctx context.Context, urgent bool, out chan<- Snapshot) {
	newWatcher(p, urgent).run(ctx, out)
}

// of returns a copy without the records that are obsolete in a run.
func (s Snapshot) of(run int) Snapshot {
	s = maps.Clone(s)
	maps.DeleteFunc(s, func(_ string, p Peer) bool { return p.past(run) })
	return s
}

// watcher is the state of one Watch.
type watcher struct {
	Peers
	urgent  bool
	rescan  time.Duration
	notify  func(ctx context.Context, dir string, names []string) (<-chan change, error)
	now     Snapshot             // as last read
	changed bool                 // since a Snapshot was last made
	told    map[string]time.Time // container → when a problem with its record was last logged
	doubts  map[string]doubt     // containers whose wrapper may be dead
	pause   time.Duration        // until the records are read again
	pace    pace
}

func newWatcher(p Peers, urgent bool) *watcher {
	return &watcher{
		Peers: p, urgent: urgent, rescan: rescan, notify: notify, changed: true,
		now: Snapshot{}, told: map[string]time.Time{}, doubts: map[string]doubt{},
	}
}

func (w *watcher) run(ctx context.Context, out chan<- Snapshot) {
	changes, every := w.changes(ctx)
	w.pause = every
	tick := time.NewTimer(every)
	defer tick.Stop()
	again := func(pause time.Duration) {
		w.pause = pause
		tick.Reset(pause)
	}
	w.look(w.Names...)
	var sent, next Snapshot
	var offer chan<- Snapshot
	for polls := 0; ; {
		if w.changed {
			w.changed, next, offer = false, w.now.of(w.Run), out
			if sent != nil && reflect.DeepEqual(next, sent) {
				offer = nil
			}
		}
		var began time.Time
		select {
		case offer <- next:
			sent, offer = next, nil
			again(every)
			continue
		case c := <-changes:
			began = time.Now()
			if c.failed != nil {
				changes, every = nil, w.polls(c.failed)
			}
			if w.pause > every { // a slow holder may end only after the last of these looks
				again(every)
			}
			w.follow(c)
		case <-w.doubted():
			began = time.Now()
			w.resolve(began)
		case <-tick.C:
			began = time.Now()
			w.look(w.Names...)
			if every == w.rescan {
				again(min(2*w.pause, longestRescan))
				break
			}
			if polls++; polls%pollsOnce == 0 {
				changes, every = w.changes(ctx)
			}
			again(every)
		case <-ctx.Done():
			return
		}
		w.pace.wait(ctx, time.Since(began))
	}
}

// changes returns a channel of changes, and the interval of reads without one.
func (w *watcher) changes(ctx context.Context) (<-chan change, time.Duration) {
	if !w.urgent {
		return nil, w.rescan
	}
	c, err := w.notify(ctx, w.Dir, w.Names)
	if err != nil {
		return nil, w.polls(err)
	}
	return c, w.rescan
}

// polls returns the interval of reads if changes are not reported.
func (w *watcher) polls(why error) time.Duration {
	w.Log.Info("records are read every "+poll.String(), "error", why)
	return poll
}

// follow reads the records that may have changed.
func (w *watcher) follow(c change) {
	if c.all {
		w.look(w.Names...)
	}
	for name, closed := range c.names {
		w.look(name)
		if closed {
			w.doubts[name] = doubt{due: time.Now().Add(delays[0])}
		}
	}
}

// delays are the pauses between the reads of a record after a process has
// closed a file in its directory. The kernel reports the close immediately
// before it releases the file's locks, so the first read is nearly always
// sufficient, but the closing process can be interrupted in between.
var delays = [...]time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// doubt is a record whose holder may have ended.
type doubt struct {
	due   time.Time // of the next read
	looks int       // so far
}

// doubted returns a channel that is ready when the next doubt is due, or nil if
// there is none.
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

// resolve reads the doubted records that are due again, as long as they seem
// alive.
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

// look reads records. A broken record that is held is being written, so the
// previous content stays valid.
func (w *watcher) look(names ...string) {
	for _, container := range names {
		p, err := readNoted(filepath.Join(w.Dir, container))
		w.tell(container, err)
		before, known := w.now[container]
		switch {
		case err == nil && (!known || !reflect.DeepEqual(p, before)):
			w.now[container], w.Run, w.changed = p, max(w.Run, p.Run), true
		case err != nil && known && !p.Alive:
			delete(w.now, container)
			w.changed = true
		}
	}
}

// tell logs a problem with a record, at a limited rate.
func (w *watcher) tell(name string, err error) {
	if err == nil || errors.Is(err, os.ErrNotExist) || time.Since(w.told[name]) < quiet {
		return
	}
	w.told[name] = time.Now()
	w.Log.Error("record not understood", "container", name, "error", err)
}

// pace limits how often an action is performed on behalf of other containers:
// up to burst times immediately, once per gap on average, and never for more
// than a fifth of the time.
type pace struct {
	credit time.Duration
	last   time.Time
}

const (
	burst = 100
	gap   = time.Millisecond
)

// wait waits, if necessary, after an action that took cost.
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
