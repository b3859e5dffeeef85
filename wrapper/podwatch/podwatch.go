// Package podwatch is the network program's adapter to the API server: it lists
// and watches the pod that it runs in and turns the pod's status into facts
// about the pod's containers.
//
// It uses HTTP/1.1 over net/http and decodes only the fields it needs, since
// its memory is charged to the user's container.
package podwatch

import (
	"context"
	"log/slog"

	"koordinator.io/koordinator/wrapper/podstatus"
)

// Watch sends a podstatus.Snapshot to out whenever the facts have changed,
// until ctx ends. It never gives up: after any error it tries again, with
// growing delays and jitter. When ctx ends, it closes its connection, leaves
// out open and returns immediately.
//
// out must not have a buffer: a slow reader then receives only the latest
// facts, and blocks nothing. A snapshot belongs to its reader.
func Watch(ctx context.Context, c podstatus.Config, log *slog.Logger, out chan<- podstatus.Snapshot) {
	newWatcher(c, log).watch(ctx, out)
}

// watch runs the watcher and relays its facts.
func (w *watcher) watch(ctx context.Context, out chan<- podstatus.Snapshot) {
	facts := make(chan podstatus.Snapshot)
	go func() {
		defer close(facts)
		w.run(ctx, facts)
	}()
	relay(facts, out)
}

// relay offers the latest of facts to out until facts is closed. It always
// accepts new facts, so the sender never waits for the reader.
func relay(facts <-chan podstatus.Snapshot, out chan<- podstatus.Snapshot) {
	var latest podstatus.Snapshot
	var offer chan<- podstatus.Snapshot // nil after latest has been taken
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
