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
	most  = 16 // concurrent tests, unless -parallel is set
	least = 4  // concurrent tests on a machine that is never idle
	spare = 20 // idle percentage of the processors' time at which another test may start
)

// turnstile admits tests, one after another.
var turnstile struct {
	next sync.Mutex // held by the test that is admitted next

	sync.Mutex
	inside map[string]bool
}

// abreast lets a test run in parallel with others. Tests wait most of the time, but need
// the processors in waves. Eight tests that start pods in the same second on two processors
// only wait for each other, and eight waiting tests leave the processors idle. So another
// test is admitted if the machine was idle for a part of the last second, or if hardly any
// test is running. A test that has parallel subtests must call t.Parallel instead, because
// it would otherwise occupy a place that its subtests need.
func abreast(t *testing.T) {
	t.Helper()
	t.Parallel()
	turnstile.next.Lock()
	defer turnstile.next.Unlock()
	for running(t) >= least && idle(t) < spare {
		continue // idle itself takes a second
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

// running returns the number of admitted tests that have not ended.
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

// idle measures for a second which percentage of the processors' time is idle.
func idle(t *testing.T) int {
	t.Helper()
	all, unused := processors(t)
	time.Sleep(time.Second)
	later, more := processors(t)
	return 100 * (more - unused) / max(later-all, 1)
}

// processors returns the number of ticks of all processors, and how many of them were idle
// (proc_stat(5)).
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
