// Package simulate runs a pod on a virtual clock: the wrapper's own state machine in each
// container that is wrapped, and a kubelet that starts, stops and restarts containers. A
// script defines what the commands do.
package simulate

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/history"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/spec"
)

// Defaults for values that a script does not set, and limits of the simulation.
const (
	InitTime  = time.Second            // run time of an init container's command
	WorkTime  = 5 * time.Second        // run time of any other command that ends by itself: its pod can end, and no container stops it
	ReadyTime = time.Second            // from the start to the first success of the probes
	StopTime  = 200 * time.Millisecond // from the stop signal to the exit
	Sight     = time.Second            // delay of the pod's status, which reports the state of containers that are not wrapped
	Restarts  = 5                      // limit of restarts of one container
	never     = time.Duration(-1)
)

// Never is a duration that never passes.
const Never = never

// End describes when and how a command ends by itself.
type End struct {
	At   time.Duration // since the beginning of the simulation
	Code int
}

// Script describes what happens to the containers of a pod. The keys of all maps are containers.
type Script struct {
	Ends   map[string]End           // ends once, at a time since the beginning
	Runs   map[string]End           // ends a time after each start
	Ready  map[string]time.Duration // time from the start to readiness; for an endpoint, by URL, from the beginning; or Never
	Stops  map[string]time.Duration // time from the stop signal to the exit; with Never, the container must be killed
	Delete time.Duration            // time at which the pod is deleted, or Never
}

// Outcome is the result of a simulation.
type Outcome struct {
	History history.History
	Ends    bool     // the pod ended
	Hangs   []string // why the pod does not end: one sentence for each container that never ends or starts
	Unused  []string // parts of the script that had no effect
}

// Pod simulates a pod.
func Pod(name string, o order.Order, s Script) Outcome {
	w := newWorld(name, o, s)
	w.begin()
	for w.queue.Len() > 0 && !w.over {
		next := heap.Pop(&w.queue).(*timed)
		w.now = next.at
		next.do()
		w.settle()
	}
	return w.outcome()
}

// timed is a function to call at a time.
type timed struct {
	at time.Duration
	n  int // sequence number that keeps the order of functions with the same time
	do func()
}

// queue holds the functions to call. The next one is at the top of the heap.
type queue []*timed

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].n < q[j].n
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*timed)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	x := (*q)[last]
	*q = (*q)[:last]
	return x
}

// world is a simulated pod.
type world struct {
	script   Script
	grace    time.Duration
	now      time.Duration
	queue    queue
	n        int
	all      []*container
	history  history.History
	deleting bool
	failed   bool // an init container has permanently failed
	ending   bool // all regular containers have ended: native sidecars are being stopped
	over     bool
	used     map[string]bool // parts of the script that had an effect
	told     []string        // facts at the last notification of the wrappers, to detect changes
}

// epoch returns the time at which the simulation begins.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

func newWorld(name string, o order.Order, s Script) *world {
	w := &world{script: s, grace: time.Duration(o.GracePeriod) * time.Second, used: map[string]bool{}}
	w.history = history.History{Pod: name, Phase: "Running"}
	for _, c := range o.Containers {
		w.all = append(w.all, &container{Container: c, world: w})
		w.history.Containers = append(w.history.Containers, history.Container{Name: c.Name, Role: string(c.Role)})
	}
	return w
}

// after calls do later.
func (w *world) after(d time.Duration, do func()) {
	w.n++
	heap.Push(&w.queue, &timed{w.now + d, w.n, do})
}

// note adds an event to the history.
func (w *world) note(e history.Event) {
	e.At = epoch().Add(w.now)
	w.history.Events = append(w.history.Events, e)
}

// begin creates the pod.
func (w *world) begin() {
	w.note(history.Event{Kind: history.PodCreated, Text: "pod created"})
	if w.script.Delete != Never {
		w.after(w.script.Delete, w.delete)
	}
	for name, end := range w.script.Ends {
		w.after(end.At, func() {
			if c := w.find(name); c != nil && c.runs {
				w.used["end of "+name] = true
				c.exit(end.Code)
			}
		})
	}
	for _, at := range w.script.Ready {
		if at != Never {
			w.after(at, func() {}) // makes settle notice an endpoint that answers from then on
		}
	}
	w.startNext()
	w.settle()
}

func (w *world) find(name string) *container {
	i := slices.IndexFunc(w.all, func(c *container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return w.all[i]
}

// startNext creates the containers that are next in order: init containers one after
// another, then all others.
func (w *world) startNext() {
	if w.deleting || w.failed {
		return
	}
	for _, c := range w.all {
		if c.created {
			if c.Role == order.Init && !c.gone || c.Role == order.Sidecar && !c.once {
				return
			}
			continue
		}
		c.create()
		if c.Role != order.Regular {
			w.startNext()
			return
		}
	}
}

// answers reports whether an endpoint answers now. It always does, unless the script sets a
// time for it.
func (w *world) answers(url string) bool {
	at, given := w.script.Ready[url]
	return !given || at != Never && w.now >= at
}

// settle handles the consequences of a change: it notifies the wrappers, creates the next
// containers, and ends the pod.
func (w *world) settle() {
	for range 1000 { // a bound; few rounds are needed, because each handles a change
		now := w.facts()
		if slices.Equal(now, w.told) {
			break
		}
		w.told = now
		for _, c := range w.all {
			c.hear()
		}
		w.startNext()
	}
	w.finish()
}

// facts returns the state of every container, as text for comparison.
func (w *world) facts() []string {
	var all []string
	for _, c := range w.all {
		all = append(all, fmt.Sprintf("%+v", c.fact()))
		for _, e := range c.Spec.StartEndpoints {
			all = append(all, fmt.Sprint(w.answers(e.URL)))
		}
	}
	return all
}

// finish ends the pod when no container is left, and stops native sidecars when only these are left.
func (w *world) finish() {
	left := false
	for _, c := range w.all {
		if c.Role == order.Sidecar {
			continue
		}
		left = left || c.alive || !c.gone && !w.deleting && !w.failed
	}
	if left || w.over {
		return
	}
	w.ending = true
	for _, c := range slices.Backward(w.all) {
		if c.Role == order.Sidecar && c.alive {
			c.kubeletStop()
			return // the other sidecars follow after this one
		}
	}
	w.over = true
	w.history.Phase = "Succeeded"
	for _, c := range w.all {
		if c.Role == order.Regular && c.code != 0 || w.failed {
			w.history.Phase = "Failed"
		}
	}
	w.note(history.Event{Kind: history.PodEnded, Text: "pod ended"})
}

// delete deletes the pod: every regular container is stopped, and containers that are left
// after the grace period are killed.
func (w *world) delete() {
	w.deleting = true
	w.used["deletion"] = true
	w.note(history.Event{Kind: history.PodDeleted, Text: "deletion requested"})
	for _, c := range w.all {
		if c.alive && c.Role != order.Sidecar {
			c.kubeletStop()
		}
	}
	w.after(w.grace, func() {
		for _, c := range w.all {
			if c.alive {
				c.end(137, "killed at the end of the grace period")
			}
		}
	})
}

// outcome returns the result of the simulation.
func (w *world) outcome() Outcome {
	w.history.Now = epoch().Add(w.now)
	out := Outcome{Ends: w.over}
	for name := range w.script.Ends {
		if !w.used["end of "+name] {
			out.Unused = append(out.Unused, fmt.Sprintf("%s does not run at %s: its end there had no effect", name, w.script.Ends[name].At))
		}
	}
	slices.Sort(out.Unused)
	if !w.over {
		out.Hangs = w.hangs()
	}
	out.History = w.history
	return out
}

// hangs returns, for each container, why it does not end or never starts. A container that
// is meant to run until the pod is deleted does not hang.
func (w *world) hangs() []string {
	var all []string
	for _, c := range w.all {
		switch {
		case c.gone:
		case !c.created:
			all = append(all, fmt.Sprintf("%s is never created: an init container before it does not end", c.Name))
		case c.tooOften:
			all = append(all, fmt.Sprintf("%s exits with code %d and is restarted again and again", c.Name, c.code))
		case c.alive && !c.runs:
			all = append(all, fmt.Sprintf("%s waits for %s, which never comes", c.Name, strings.Join(c.waits(), ", ")))
		case c.Spec.Restart.Policy != spec.RestartAlways && c.Role != order.Sidecar:
			all = append(all, fmt.Sprintf("%s runs on: nothing stops it", c.Name))
		}
	}
	return all
}
