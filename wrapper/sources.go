package wrapper

import (
	"context"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// Records are the records of Spec.Wrapped: package record, or a script of it in
// tests.
type Records interface {
	// Now is what they are at this moment.
	Now() record.Snapshot
	// Watch sends them until ctx ends: within seconds of a change or, if urgent, at
	// once.
	Watch(ctx context.Context, urgent bool, out chan<- record.Snapshot)
}

// Tombstones are what another system reports of containers, before anything
// that koordinator knows of them.
type Tombstones interface {
	Now() lifecycle.Facts
	Watch(ctx context.Context, out chan<- lifecycle.Facts)
}

// Status sends what the pod's status reports of its containers until ctx ends:
// network reads it. It returns an error immediately where the status cannot be
// read at all.
type Status func(ctx context.Context, network spec.Network, out chan<- podstatus.Snapshot) error

// recordGrace is how long a wrapped container may take to have a record: one
// that has none then never ran, or ran in an earlier sandbox.
const recordGrace = 10 * time.Second

// sources are the places that facts about other containers come from. Each is
// watched only while something is needed that it alone reports. The loop owns
// them, and takes what comes from their channels.
type sources struct {
	ctx        context.Context // ends with the run
	records    Records
	status     Status
	network    spec.Network // for status
	tombstones Tombstones   // nil: no other system

	know     knowledge
	recorded chan record.Snapshot
	reported chan podstatus.Snapshot
	carved   chan lifecycle.Facts // by tombstones
	learned  chan func(*knowledge)

	closeRecords context.CancelFunc // nil: they are not watched
	urgent       bool               // how they are
	closeStatus  context.CancelFunc // nil: it is not watched
}

func newSources(ctx context.Context, c Config, network spec.Network) *sources {
	s := &sources{
		ctx: ctx, records: c.Records, status: c.Status, network: network, tombstones: c.Tombstones,
		know:     knowledge{spec: c.Spec},
		recorded: make(chan record.Snapshot), reported: make(chan podstatus.Snapshot),
		carved: make(chan lifecycle.Facts), learned: make(chan func(*knowledge)),
	}
	if len(c.Spec.Wrapped) > 0 {
		time.AfterFunc(recordGrace, func() { s.learn(func(k *knowledge) { k.late = true }) })
	}
	if s.tombstones != nil {
		go s.tombstones.Watch(ctx, s.carved)
	}
	return s
}

// learn has the loop change what is known, from another goroutine.
func (s *sources) learn(apply func(*knowledge)) {
	select {
	case s.learned <- apply:
	case <-s.ctx.Done():
	}
}

// now looks up what can be known without waiting, and returns all facts.
func (s *sources) now() lifecycle.Facts {
	if len(s.know.spec.Wrapped) > 0 {
		s.know.records = s.records.Now()
	}
	if s.tombstones != nil {
		s.know.other = s.tombstones.Now()
	}
	return s.know.facts()
}

// stale reports whether records are watched in a way that leaves them seconds
// behind.
func (s *sources) stale() bool { return s.closeRecords != nil && !s.urgent }

// need watches what the facts about these containers come from, and nothing
// else. It reports whether a watch ended.
func (s *sources) need(names []string, urgent bool) (closed bool) {
	s.watchRecords(len(names) > 0 && len(s.know.spec.Wrapped) > 0, urgent)
	return s.watchStatus(s.know.needsStatus(names))
}

func (s *sources) watchRecords(needed, urgent bool) {
	if s.closeRecords != nil && (!needed || urgent != s.urgent) {
		s.closeRecords()
		s.closeRecords = nil
	}
	if !needed || s.closeRecords != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.closeRecords, s.urgent = cancel, urgent
	go s.records.Watch(ctx, urgent, s.recorded)
}

func (s *sources) watchStatus(needed bool) (closed bool) {
	switch {
	case needed && s.closeStatus == nil:
		ctx, cancel := context.WithCancel(s.ctx)
		s.closeStatus = cancel
		go func() {
			if s.status(ctx, s.network, s.reported) != nil {
				s.learn(func(k *knowledge) { k.mute = true })
			}
		}()
	case !needed && s.closeStatus != nil:
		s.closeStatus()
		s.closeStatus = nil
		return true
	}
	return false
}

// NeedsStatus reports whether a run needs the pod's status from the start.
func NeedsStatus(s spec.Spec, tombstones Tombstones) bool {
	k := knowledge{spec: s}
	if tombstones != nil {
		k.other = tombstones.Now()
	}
	return k.needsStatus(lifecycle.New(s, false).Needs())
}
