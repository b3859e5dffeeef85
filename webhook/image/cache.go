package image

import (
	"container/list"
	"sync"
)

// lru keeps values until their total size exceeds a limit. It then drops the
// least recently used ones. It is safe for concurrent use.
type lru[V any] struct {
	most int // bytes

	mu    sync.Mutex
	used  int
	order *list.List // of item[V], the most recently used first
	byKey map[string]*list.Element
}

// item is one value of an lru.
type item[V any] struct {
	key   string
	value V
	size  int
}

// newLRU returns an empty lru.
func newLRU[V any](most int) *lru[V] {
	return &lru[V]{most: most, order: list.New(), byKey: map[string]*list.Element{}}
}

// get returns the value of a key, and whether there is one.
func (c *lru[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byKey[key]
	if !ok {
		var none V
		return none, false
	}
	c.order.MoveToFront(e)
	return e.Value.(item[V]).value, true
}

// put stores a value and replaces an older one of the same key. It does not store
// a value that is so large that it would displace a good part of the others.
func (c *lru[V]) put(key string, value V, size int) {
	if size > c.most/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byKey[key]; ok {
		c.drop(e)
	}
	c.byKey[key] = c.order.PushFront(item[V]{key, value, size})
	c.used += size
	for c.used > c.most {
		c.drop(c.order.Back())
	}
}

func (c *lru[V]) drop(e *list.Element) {
	old := c.order.Remove(e).(item[V])
	delete(c.byKey, old.key)
	c.used -= old.size
}
