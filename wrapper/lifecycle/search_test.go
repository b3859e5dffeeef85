package lifecycle

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// origin is how a state was first reached: by a step from the state before it.
type origin struct {
	before int
	step   any
}

// stepped handles one possible step: its name, the resulting state, which is
// valid only during the call, and an error in it.
type stepped[W any] func(name any, next *W, wrong error)

// search visits every state that can be reached from first, in order of
// distance, and returns the numbers of states and of steps between them. It
// identifies states by a hash of key with a new seed for each search: the
// probability of a collision among a million states is 3 in 10⁸. The error
// lists the steps that lead to it. keep returns an independent copy of a state.
func search[W any, K comparable](first W, key func(*W) K, keep func(*W) *W, expand func(*W, stepped[W]) error) (states, steps int, err error) {
	seed := maphash.MakeSeed()
	hash := func(w *W) uint64 { return maphash.Comparable(seed, key(w)) }
	origins := []origin{{-1, nil}}
	seen := map[uint64]struct{}{hash(&first): {}}
	queue := []*W{&first}
	for at := 0; at < len(queue); at++ {
		w := queue[at]
		queue[at] = nil
		var bad any
		wrong := expand(w, func(name any, next *W, wrong error) {
			steps++
			if wrong != nil && err == nil {
				err, bad = wrong, name
			}
			h := hash(next)
			if _, known := seen[h]; known {
				return
			}
			seen[h] = struct{}{}
			queue = append(queue, keep(next))
			origins = append(origins, origin{at, name})
		})
		if err == nil {
			err = wrong
		}
		if err != nil {
			return len(seen), steps, fmt.Errorf("%w, after\n%s", err, path(origins, at, bad))
		}
	}
	return len(seen), steps, nil
}

// path lists the steps from the first state to the one at an index, followed by
// last if that is not nil.
func path(origins []origin, at int, last any) string {
	var names []string
	if last != nil {
		names = append(names, fmt.Sprintf("%T%+v", last, last))
	}
	for ; origins[at].before >= 0; at = origins[at].before {
		names = append(names, fmt.Sprintf("%T%+v", origins[at].step, origins[at].step))
	}
	slices.Reverse(names)
	return strings.Join(append([]string{"the begin"}, names...), "\n")
}
