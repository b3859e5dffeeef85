package wrapper

import (
	"context"
	"log/slog"
	"time"

	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// Records reads the records of Spec.Wrapped. Package record implements it;
// tests use a script.
type Records interface {
	// Now returns their current content.
	Now() record.Snapshot
	// Watch sends the records until ctx ends: immediately after each change if
	// urgent, otherwise within minutes.
	Watch(ctx context.Context, urgent bool, out chan<- record.Snapshot)
}

// Tombstones reports the state of containers that another system publishes. It
// takes precedence over koordinator's own sources.
type Tombstones interface {
	Now() lifecycle.Facts
	Watch(ctx context.Context, out chan<- lifecycle.Facts)
}

// Status sends the state of the pod's containers from the pod's status until
// ctx ends. It reads the status through network. It returns an error
// immediately if the status cannot be read at all.
type Status func(ctx context.Context, network spec.Network, out chan<- podstatus.Snapshot) error

// recordGrace is how long a wrapped container may take to write a record. A
// container without a record after that never ran, or ran in an earlier
// sandbox. It is also how long the ready endpoint of a container without a
// wrapper may be silent before the pod's status is read.
const recordGrace = 10 * time.Second

// sources are the origins of facts about other containers. Each is watched only
// while it is the only source of something needed. The loop owns them and
// receives from their channels.
type sources struct {
	ctx        context.Context // ends with the run
	records    Records
	status     Status
	network    spec.Network // for status
	tombstones Tombstones   // nil: there is no other system

	know     knowledge
	recorded chan record.Snapshot    // of the present watch
	reported chan podstatus.Snapshot // of the present watch
	carved   chan lifecycle.Facts    // from tombstones
	learned  chan func(*knowledge)
	ask      func(ctx context.Context, endpoint string) error
	log      *slog.Logger

	closeRecords context.CancelFunc            // nil: the records are not watched
	urgent       bool                          // how the records are watched
	closeStatus  context.CancelFunc            // nil: the status is not watched
	asking       map[string]context.CancelFunc // the endpoints that are being checked
}

func newSources(ctx context.Context, c Config, network spec.Network) *sources {
	s := &sources{
		ctx: ctx, records: c.Records, status: c.Status, network: network, tombstones: c.Tombstones,
		know:   knowledge{spec: c.Spec},
		carved: make(chan lifecycle.Facts), learned: make(chan func(*knowledge)),
		log: c.Log, asking: map[string]context.CancelFunc{},
	}
	if len(c.Spec.Wrapped)+len(c.Spec.ReadyEndpoints) > 0 {
		time.AfterFunc(recordGrace, func() { s.learn(func(k *knowledge) { k.late = true }) })
	}
	if s.tombstones != nil {
		go s.tombstones.Watch(ctx, s.carved)
	}
	return s
}

// learn makes the loop change its knowledge. It is called from other
// goroutines.
func (s *sources) learn(apply func(*knowledge)) {
	select {
	case s.learned <- apply:
	case <-s.ctx.Done():
	}
}

// now reads the sources that answer without waiting, and returns all facts.
func (s *sources) now() lifecycle.Facts {
	if len(s.know.spec.Wrapped) > 0 {
		s.know.records = s.records.Now()
	}
	if s.tombstones != nil {
		s.know.other = s.tombstones.Now()
	}
	return s.know.facts()
}

// stale reports whether the records may be minutes old because of the way they
// are watched.
func (s *sources) stale() bool { return s.closeRecords != nil && !s.urgent }

// need watches the sources of facts about these containers and endpoints, and
// no others. Endpoints are checked only while the command waits. It reports
// whether the watch of the pod's status ended.
func (s *sources) need(names []string, urgent, waits bool) (closed bool) {
	s.askEndpoints(names, waits)
	s.watchRecords(len(names) > 0 && len(s.know.spec.Wrapped) > 0, urgent)
	return s.watchStatus(s.know.needsStatus(names))
}

func (s *sources) watchRecords(needed, urgent bool) {
	if s.closeRecords != nil && (!needed || urgent != s.urgent) {
		s.closeRecords()
		s.closeRecords, s.recorded = nil, nil
	}
	if !needed || s.closeRecords != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.closeRecords, s.urgent = cancel, urgent
	s.recorded = make(chan record.Snapshot) // an earlier watch may still send
	go s.records.Watch(ctx, urgent, s.recorded)
}

func (s *sources) watchStatus(needed bool) (closed bool) {
	switch {
	case needed && s.closeStatus == nil:
		ctx, cancel := context.WithCancel(s.ctx)
		s.closeStatus = cancel
		out := make(chan podstatus.Snapshot) // an earlier watch may still send
		s.reported = out
		go func() {
			if s.status(ctx, s.network, out) != nil {
				s.learn(func(k *knowledge) { k.mute = true })
			}
		}()
	case !needed && s.closeStatus != nil:
		s.closeStatus()
		s.closeStatus, s.reported = nil, nil
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
