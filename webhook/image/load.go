package image

import (
	"context"
	"sync"
)

const (
	usualAnswer = 256 << 10 // bytes, many times what manifests and configurations have
	heavyAtOnce = 2         // lookups with larger answers
)

// load is what one lookup may take of the memory that all share: large answers
// are read by a few lookups at a time, as many of them would be more than
// the webhook has. Usual ones never wait.
type load struct {
	slots chan struct{} // full while as many lookups as may read large answers

	mu   sync.Mutex
	held bool
}

// loadKey is the key of a lookup's load in the context of its requests.
type loadKey struct{}

// take has the lookup read large answers until release. It blocks until that is
// possible or the context ends.
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

// release ends it.
func (l *load) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held {
		<-l.slots
		l.held = false
	}
}
