// Package podwatch is the wrapper's adapter to the API server: it lists and
// watches the one pod it runs in and turns the kubelet's word, the pod's
// status, into facts about the pod's containers.
//
// It speaks HTTP/1.1 over net/http and decodes only the fields it needs, since
// its memory is charged to the user's container.
package podwatch

import (
	"context"
	"log/slog"
	"time"
)

// Snapshot holds the facts about every container of the pod by name: init
// containers, native sidecars and regular ones, those without a status yet too.
// Ephemeral containers are left out.
type Snapshot map[string]Container

// Container is what the pod's status says about one container.
type Container struct {
	Init     bool // it is an init container or a native sidecar
	Started  bool // its command has been started at some time; stays true
	Ready    bool // runs, and its probes have passed once in this incarnation
	Runs     bool // its command runs now
	Stopping bool // the pod is being deleted
	Exited   bool // exited for good
	Stopped  bool // its wrapper stopped the command or kept it from running: Code is not the command's success
	Code     int  // exit code when Exited
	// Grace is the pod's terminationGracePeriodSeconds, 0 where it has none.
	Grace time.Duration
	// StopSignal is the signal by which the runtime stops it, "" where the kubelet
	// does not report it (before Kubernetes 1.33).
	StopSignal string
	Reason     string // when Exited without its command ever run, or killed: one sentence why
}

// Watch sends a Snapshot on out whenever the facts have changed, until ctx
// ends. It never gives up: after any error it tries again, with growing delays
// and jitter. It blocks until ctx ends; then it closes its connection, leaves
// out open and returns at once.
//
// Give an out without a buffer: a reader that comes late then gets the latest
// facts and none of those in between, and holds up nothing. A Snapshot belongs
// to its reader.
func (c Config) Watch(ctx context.Context, log *slog.Logger, out chan<- Snapshot) {
	newWatcher(c, log).watch(ctx, out)
}

// watch runs the watcher and relays what it finds.
func (w *watcher) watch(ctx context.Context, out chan<- Snapshot) {
	facts := make(chan Snapshot)
	go func() {
		defer close(facts)
		w.run(ctx, facts)
	}()
	relay(facts, out)
}

// relay offers the latest of facts on out until facts is closed. It takes a new
// one at any time, so the sender never waits for the reader.
func relay(facts <-chan Snapshot, out chan<- Snapshot) {
	var latest Snapshot
	var offer chan<- Snapshot // nil while latest has been taken
	for {
		select {
		case s, ok := <-facts:
			if !ok {
				return
			}
			latest, offer = s, out
		case offer <- latest:
			offer = nil
		}
	}
}
