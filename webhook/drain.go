package webhook

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// drain takes a replica out of service without losing a call. When a stop request
// arrives, the replica becomes unready, so that it gets no new connections, and
// it closes each connection after the next answer, because an API server would
// otherwise keep using a connection that stays open. The server stops only after
// that.
type drain struct{ begun atomic.Bool }

// context returns a context that ends the given time after its parent.
func (d *drain) context(parent context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	context.AfterFunc(parent, func() {
		d.begun.Store(true)
		select {
		case <-ctx.Done():
		case <-time.After(while):
			cancel()
		}
	})
	return ctx, cancel
}

// ready implements the readiness check: it fails after a stop request.
func (d *drain) ready(*http.Request) error {
	if d.begun.Load() {
		return errors.New("shutting down")
	}
	return nil
}

// wrap makes the handler's answers close their connections while draining.
func (d *drain) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
