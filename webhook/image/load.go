package image

import (
	"context"
	"sync"
)

const (
	usualAnswer = 256 << 10 // bytes, many times the size of usual manifests and configurations
	heavyAtOnce = 2         // concurrent lookups with larger answers
)

// load is one lookup's claim on the shared memory. Only a few lookups read large
// answers at the same time, because the webhook does not have the memory for many
// of them. Usual answers never wait.
type load struct {
	slots chan struct{} // full while the maximum number of lookups may read large answers

	mu   sync.Mutex
	held bool
}

// loadKey is the key of a lookup's load in the context of its requests.
type loadKey struct{}

// take allows the lookup to read large answers until release. It blocks until
// that is possible or the context ends.
func (l *load) take(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		return nil
	}
	select {
	case l.slots <- struct{}{}:
		l.held = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release ends the claim.
func (l *load) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		<-l.slots
		l.held = false
	}
}
