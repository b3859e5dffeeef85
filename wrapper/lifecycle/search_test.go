package lifecycle

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// origin is how a state was first reached: by the nth step from the state
// before it.
type origin struct{ before, nth int32 }

// stepped takes one step that can be taken: its name, where it leads, valid
// during the call only, and what is wrong with it.
type stepped[W any] func(name any, next *W, wrong error)

// search visits every state that can be reached from first, the nearest ones
// first, and returns how many there are and how many steps join them. States
// are told apart by a hash of key, another one each time: that two of a million
// are taken for one has a chance of 3 in 10⁸. The error tells the steps that
// lead to it. keep makes a copy of its own of a state that was found.
func search[W any, K comparable](first W, key func(*W) K, keep func(*W) *W, expand func(*W, stepped[W]) error) (states, steps int, err error) {
	seed := maphash.MakeSeed()
	hash := func(w *W) uint64 { return maphash.Comparable(seed, key(w)) }
	origins := []origin{{-1, 0}}
	seen := map[uint64]struct{}{hash(&first): {}}
	queue := []*W{&first}
	for at := 0; at < len(queue) && err == nil; at++ {
		w := queue[at]
		queue[at] = nil
		nth, bad := int32(-1), int32(-1)
		wrong := expand(w, func(_ any, next *W, wrong error) {
			nth++
			if wrong != nil && err == nil {
				err, bad = wrong, nth
			}
			h := hash(next)
			if _, known := seen[h]; known {
				return
			}
			seen[h] = struct{}{}
			queue = append(queue, keep(next))
			origins = append(origins, origin{int32(at), nth})
		})
		steps += int(nth) + 1
		if err == nil {
			err = wrong
		}
		if err != nil {
			err = fmt.Errorf("%w, after\n%s", err, strings.Join(retrace(&first, keep, expand, origins, at, bad), "\n"))
		}
	}
	return len(seen), steps, err
}

// retrace names the steps from first to the state at an index, and one more.
func retrace[W any](first *W, keep func(*W) *W, expand func(*W, stepped[W]) error, origins []origin, at int, last int32) []string {
	path := []int32{last}
	for ; origins[at].before >= 0; at = int(origins[at].before) {
		path = append(path, origins[at].nth)
	}
	slices.Reverse(path)
	names := []string{"the begin"}
	w := first
	for _, wanted := range path {
		nth := int32(-1)
		var then *W
		_ = expand(w, func(name any, next *W, _ error) {
			if nth++; nth == wanted {
				names = append(names, fmt.Sprintf("%T%+v", name, name))
				then = keep(next)
			}
		})
		w = then
	}
	return names
}
