package annotations

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// Bounds of what a Reader remembers. A container name in an annotation requires
// hundreds of times as much memory as its text, and anybody who may create pods
// can write annotations. These bounds keep the total below 32 MiB.
const (
	mostRemembered = 256
	longestText    = 2 << 10 // bytes
	mostParts      = 32      // containers and problems
)

// Reader reads the annotations of pods and caches recent results, because all
// pods of a workload have the same annotations. It is safe for concurrent use.
type Reader struct{ known *lru.Cache }

// NewReader returns a Reader with an empty cache.
func NewReader() *Reader { return &Reader{lru.New(mostRemembered)} }

// remembered is a result of Read.
type remembered struct {
	asked    inject.Asked
	problems []messages.Problem
}

// Read is like the function Read, for a pod. The caller must not change anything
// that the result refers to.
func (r *Reader) Read(meta metav1.ObjectMeta) (inject.Asked, []messages.Problem) {
	key := textOf(meta)
	if known, found := r.known.Get(key); found {
		k := known.(remembered)
		return k.asked, k.problems
	}
	asked, problems := Read(meta, nil)
	problems = slices.Clip(problems) // callers append to the problems and must not write to a shared array
	if len(key) <= longestText && len(asked.Wishes)+len(problems) <= mostParts {
		r.known.Add(key, remembered{asked, problems})
	}
	return asked, problems
}

// textOf returns the text that Read reads, except for the status annotation. The
// label comes first, and each part is preceded by its length, so that a value
// cannot look like several parts: the API server validates the label only after
// the webhook has read it.
func textOf(meta metav1.ObjectMeta) string {
	var b strings.Builder
	add := func(part string) {
		b.WriteString(strconv.Itoa(len(part)))
		b.WriteByte(' ')
		b.WriteString(part)
	}
	add(meta.Labels[inject.EssentialLabel])
	for _, key := range slices.Sorted(maps.Keys(meta.Annotations)) {
		if name, found := strings.CutPrefix(key, inject.Prefix); found && key != inject.StatusAnnotation {
			add(name)
			add(meta.Annotations[key])
		}
	}
	return b.String()
}
