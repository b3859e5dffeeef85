package webhook

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// drain takes a replica out of use without a call lost. From the moment it is
// asked to end, it is not ready, so that no new connections come, and ends
// each connection with its next answer: an API server that keeps one open
// would go on using it. Only then the server stops.
type drain struct{ begun atomic.Bool }

// context is one that ends a while after the parent has.
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

// ready is the readiness check: nobody has asked the process to end.
func (d *drain) ready(*http.Request) error {
	if d.begun.Load() {
		return errors.New("shutting down")
	}
	return nil
}

// wrap has a handler's answers end their connections while draining.
func (d *drain) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
