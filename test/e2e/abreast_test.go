//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	most  = 16 // tests at the same time, where -parallel does not say how many
	least = 4  // tests at the same time on a machine that is never idle
	spare = 20 // percent of the processors' time that are free for another one
)

// turnstile lets tests in, one after another.
var turnstile struct {
	next sync.Mutex // held by the one that is let in next

	sync.Mutex
	inside map[string]bool
}

// abreast lets a test run beside others. Tests wait most of the time, but need
// the processors in waves: eight that start pods in the same second on two
// processors only wait for each other, and eight that wait leave them idle. So
// another one is let in when the machine was idle for a part of the last second,
// or hardly any test is running. A test that has parallel tests of its own calls
// t.Parallel instead: it would keep a place from them.
func abreast(t *testing.T) {
	t.Helper()
	t.Parallel()
	turnstile.next.Lock()
	defer turnstile.next.Unlock()
	for running(t) >= least && idle(t) < spare { // idle takes a second
	}
	turnstile.Lock()
	defer turnstile.Unlock()
	if turnstile.inside == nil {
		turnstile.inside = map[string]bool{}
	}
	turnstile.inside[t.Name()] = true
	t.Cleanup(func() {
		turnstile.Lock()
		defer turnstile.Unlock()
		delete(turnstile.inside, t.Name())
	})
}

// running is how many tests have been let in and have not ended.
func running(t *testing.T) int {
	t.Helper()
	turnstile.Lock()
	defer turnstile.Unlock()
	for name := range turnstile.inside {
		if strings.HasPrefix(t.Name(), name+"/") {
			t.Fatalf("%s keeps a place from its own tests", name)
		}
	}
	return len(turnstile.inside)
}

// idle is how many percent of the processors' time nobody needs, for a second.
func idle(t *testing.T) int {
	t.Helper()
	all, unused := processors(t)
	time.Sleep(time.Second)
	later, more := processors(t)
	return 100 * (more - unused) / max(later-all, 1)
}

// processors is how many ticks of the processors there have been, and how many
// of them idle (proc_stat(5)).
func processors(t *testing.T) (all, unused int) {
	t.Helper()
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(data), "\n")
	for i, field := range strings.Fields(first)[1:] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(fmt.Errorf("/proc/stat: %w", err))
		}
		if all += ticks; i == 3 || i == 4 { // idle, and waiting for a disk
			unused += ticks
		}
	}
	return all, unused
}
