package lifecycle

import (
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

const (
	walksPerPod = 100
	walkLength  = 300  // steps until the pod is stopped in any case
	walkMost    = 2000 // steps of a walk that ends
)

// walker takes random walks through one pod.
type walker struct {
	random *rand.Rand
	prompt bool // news arrives before anything else happens
	moves  []move
	hash   maphash.Seed
	seen   map[uint64]struct{} // hashes of the states visited
	steps  int
}

// walk walks from the pod's beginning to its end.
func (w *walker) walk(specs []spec.Spec) error {
	p, err := newPod(specs, int8(w.random.IntN(3)), int8(w.random.IntN(4)))
	w.prompt = w.random.IntN(2) == 0
	w.moves = w.moves[:0]
	for err == nil {
		if len(p.moves()) == 0 {
			err = p.stuck()
		}
		m, more := w.choose(&p)
		if !more {
			return errors.Join(err, p.ended())
		}
		w.moves = append(w.moves, m)
		err = errors.Join(err, p.do(m))
		w.count(&p)
		if len(w.moves) > walkMost {
			err = errors.New("it goes on for ever")
		}
	}
	return err
}

// ended returns the error in a pod in which nothing more can happen.
func (p *pod) ended() error {
	for i := range p.c {
		if p.c[i].alive {
			return fmt.Errorf("%s is left", containerName(i))
		}
	}
	return nil
}

// choose picks one of the possible next moves. Moves that are due are more
// likely than whims; after a while the pod is stopped.
func (w *walker) choose(p *pod) (move, bool) {
	due := p.moves()
	if w.prompt {
		told := slices.DeleteFunc(slices.Clone(due), func(m move) bool { return m.what != "told" })
		if len(told) > 0 {
			due = told
		}
	}
	if len(due) > 0 && (w.prompt && due[0].what == "told" || w.random.IntN(3) > 0) {
		return due[w.random.IntN(len(due))], true
	}
	if !slices.ContainsFunc(p.c, func(c container) bool { return c.alive }) && len(due) == 0 {
		return move{}, false
	}
	if len(w.moves) > walkLength && !p.stopping {
		return move{what: "the pod is stopped"}, true
	}
	list := append(p.whims(), p.signals()...)
	if len(list) == 0 {
		list = due
	}
	m := list[w.random.IntN(len(list))]
	if rare := m.what == "the pod is stopped" || m.what == "the grace period is over"; rare && w.random.IntN(8) > 0 {
		m = list[w.random.IntN(len(list))]
	}
	return m, true
}

// signals returns signals that any process may send: one that is meant for the
// command, and one that may be a stop request.
func (p *pod) signals() []move {
	var list []move
	for i := range p.c {
		if c := &p.c[i]; c.runs() && !c.inPlace {
			list = append(list, move{"signal", containerName(i), "", Signal{syscall.SIGHUP}}, move{"signal", containerName(i), "", Signal{syscall.SIGQUIT}})
		}
	}
	return list
}

// count records the state as visited.
func (w *walker) count(p *pod) {
	w.steps++
	var sum uint64
	for i := range p.c {
		sum = sum*31 + maphash.Comparable(w.hash, p.c[i].key())
	}
	w.seen[sum] = struct{}{}
}

// explored walks through one random pod.
func explored(seed uint64) (states, steps int, err error) {
	w := walker{random: rand.New(rand.NewPCG(seed, seed)), hash: maphash.MakeSeed(), seen: map[uint64]struct{}{}}
	specs := randomPod(w.random)
	for range walksPerPod {
		if err := w.walk(specs); err != nil {
			var lines []string
			for _, m := range w.moves {
				lines = append(lines, fmt.Sprintf("%s %s %s %T%+v", m.who, m.what, m.about, m.event, m.event))
			}
			return len(w.seen), w.steps, fmt.Errorf("%s\n%w, after\n%s", describe(specs), err, strings.Join(lines, "\n"))
		}
	}
	return len(w.seen), w.steps, nil
}

// TestExploreLargerPods walks through random pods of three and four containers:
// for the duration in EXPLORE, for example 5m, or for two seconds by default.
// EXPLORE_SEED selects one pod to walk through again.
func TestExploreLargerPods(t *testing.T) {
	if text := os.Getenv("EXPLORE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := explored(seed); err != nil {
			t.Fatal(err)
		}
		return
	}
	most := 2 * time.Second
	if text := os.Getenv("EXPLORE"); text != "" {
		var err error
		if most, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	first := uint64(time.Now().UnixNano())
	begin := time.Now()
	var pods, states, steps atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for time.Since(begin) < most && !failed.Load() {
				seed := first + uint64(pods.Add(1))
				n, k, err := explored(seed)
				states.Add(int64(n))
				steps.Add(int64(k))
				if err != nil {
					failed.Store(true)
					t.Errorf("EXPLORE_SEED=%d: %v", seed, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("seeds from %d: %d pods, %d walks, %d states, %d steps", first+1, pods.Load(), pods.Load()*walksPerPod, states.Load(), steps.Load())
}
