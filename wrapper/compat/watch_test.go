package compat

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a test waits for anything before it gives up.
const patience = 30 * time.Second

// watched starts a watch that ends with the test.
func watched(t *testing.T, dir string, names ...string) <-chan map[string]Tombstone {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(chan map[string]Tombstone), make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, dir, names, out)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("the watch does not end")
		}
	})
	return out
}

// until receives maps until one meets the condition.
func until(t *testing.T, out <-chan map[string]Tombstone, what string, good func(map[string]Tombstone) bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case have := <-out:
			if good(have) {
				return
			}
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func dead(name string) func(map[string]Tombstone) bool {
	return func(m map[string]Tombstone) bool {
		_, yes := m[name].Dead(time.Time{})
		return yes
	}
}

func empty(m map[string]Tombstone) bool { return len(m) == 0 }

// unread returns a condition: the named tombstone is missing.
func unread(name string) func(map[string]Tombstone) bool {
	return func(m map[string]Tombstone) bool {
		_, there := m[name]
		return !there
	}
}

const deadText = "Died: \"2020-05-06T09:08:10+02:00\"\nExitCode: 0\n"

func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(t *testing.T, dir string)
	}{
		{"kx-04 a death before the watch began", func(t *testing.T, dir string) {
			check(t, open(t, dir, "main").Died(died, 0))
			out := watched(t, dir, "main")
			if m := <-out; !dead("main")(m) {
				t.Errorf("have %v first", m)
			}
		}},
		{"an empty graveyard is told of, then a life", func(t *testing.T, dir string) {
			out := watched(t, dir, "main")
			if m := <-out; !empty(m) {
				t.Errorf("have %v first", m)
			}
			g := open(t, dir, "main")
			check(t, g.Born(born))
			until(t, out, "born", func(m map[string]Tombstone) bool { return m["main"].Born.Equal(born) })
			check(t, g.Died(died, 0))
			until(t, out, "dead", dead("main"))
		}},
		{"kubexit truncates and writes in place", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "main")
			write(t, path, "Born: \"2020-05-06T07:08:09.123456789Z\"\n")
			out := watched(t, dir, "main")
			if m := <-out; len(m) != 1 {
				t.Errorf("have %v first", m)
			}
			f, err := os.Create(path)
			check(t, err)
			defer f.Close()
			until(t, out, "truncated", unread("main"))
			_, err = f.WriteString(deadText)
			check(t, err)
			until(t, out, "dead", dead("main"))
		}},
		{"own-08 the container starts again", func(t *testing.T, dir string) {
			check(t, open(t, dir, "main").Died(died, 0))
			out := watched(t, dir, "main")
			until(t, out, "dead", dead("main"))
			open(t, dir, "main")
			until(t, out, "alive again", func(m map[string]Tombstone) bool { return !dead("main")(m) && !empty(m) })
		}},
		{"a tombstone is removed", func(t *testing.T, dir string) {
			check(t, open(t, dir, "main").Died(died, 0))
			out := watched(t, dir, "main")
			until(t, out, "dead", dead("main"))
			check(t, os.Remove(filepath.Join(dir, "main")))
			until(t, out, "gone", empty)
		}},
		{"the graveyard comes later", func(t *testing.T, dir string) {
			later := filepath.Join(dir, "later")
			out := watched(t, later, "main")
			if m := <-out; !empty(m) {
				t.Errorf("have %v first", m)
			}
			check(t, open(t, later, "main").Died(died, 0))
			until(t, out, "dead", dead("main"))
		}},
		{"the graveyard is removed and comes again", func(t *testing.T, dir string) {
			there := filepath.Join(dir, "there")
			check(t, open(t, there, "main").Died(died, 0))
			out := watched(t, there, "main")
			until(t, out, "dead", dead("main"))
			check(t, os.RemoveAll(there))
			until(t, out, "gone", empty)
			check(t, open(t, there, "main").Died(died, 0))
			until(t, out, "dead again", dead("main"))
		}},
		{"only those that are asked for, and none with garbage", func(t *testing.T, dir string) {
			check(t, open(t, dir, "other").Died(died, 0))
			write(t, filepath.Join(dir, "main"), "\x00")
			check(t, open(t, dir, "third").Born(born))
			out := watched(t, dir, "main", "third")
			if m := <-out; len(m) != 1 || !m["third"].Born.Equal(born) {
				t.Errorf("have %v", m)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.story(t, t.TempDir()) })
	}
}

func TestSleepWithoutInotifyLooksAgainSoon(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	if watch := sleep(ctx, nil); watch != nil || inotify("/nowhere") != nil {
		t.Error("have a watch of nothing")
	}
	cancel()
	watch := inotify(t.TempDir())
	defer watch.Close()
	if sleep(ctx, watch) != watch {
		t.Error("the end of the context broke the watch")
	}
}
