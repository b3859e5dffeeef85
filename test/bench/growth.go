package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/test/pod"
	"koordinator.io/koordinator/wrapper/spec"
)

// Aims for a wrapper in a pod of fifty containers.
const (
	threadsAim = 6
	wakesAim   = 0 // per minute
)

// The phases of a measurement of a pod whose containers do nothing.
const (
	calm  = 5 * time.Second  // until everything that starts with the commands is at rest
	long  = 80 * time.Second // until the wrapper has read the records for the fourth time
	watch = 60 * time.Second // then, wake-ups are counted for this time
)

// sizes lists the numbers of containers in the measured pods.
var sizes = []int{2, 10, 25, 50}

// grown is the cost of a pod of one size. The counts belong to the wrapper that depends on
// every other container.
type grown struct {
	containers  int
	threads     int
	descriptors int
	usage       usage
	wakes       int           // per minute, at rest
	chain       time.Duration // from the first command's start to the last one's, if each waits for the previous one
	broadcast   time.Duration // from one container's exit until all others have received SIGTERM
}

// growth measures pods of several sizes.
func (b *bench) growth() ([]row, error) {
	for _, n := range sizes {
		g, err := b.grownTo(n)
		if err != nil {
			return nil, fmt.Errorf("%d containers: %w", n, err)
		}
		b.growths = append(b.growths, g)
	}
	first, last := b.growths[0], b.growths[len(b.growths)-1]
	return []row{
		{
			fmt.Sprintf("threads of the wrapper, %d peers", last.containers-1), strconv.Itoa(last.threads), fmt.Sprintf("%d with %d peer", first.threads, first.containers-1),
			fmt.Sprintf("≤ %d", threadsAim), last.threads <= threadsAim,
		},
		{
			fmt.Sprintf("wake-ups a minute of the wrapper at rest, %d peers", last.containers-1), strconv.Itoa(last.wakes), "",
			strconv.Itoa(wakesAim), last.wakes <= wakesAim,
		},
	}, nil
}

// grownTo measures pods of n containers.
func (b *bench) grownTo(n int) (g grown, err error) {
	g.containers = n
	var chains, broadcasts series
	for range b.runs(5) {
		took, err := b.chainOnce(n)
		if err != nil {
			return g, fmt.Errorf("chain: %w", err)
		}
		chains = append(chains, took)
	}
	g.chain = chains.median()
	for i := range b.runs(5) {
		took, err := b.broadcastOnce(n, func(hub *pod.Running) error {
			if i > 0 {
				return nil
			}
			return g.atRest(hub.PID, n == sizes[len(sizes)-1])
		})
		if err != nil {
			return g, fmt.Errorf("broadcast: %w", err)
		}
		broadcasts = append(broadcasts, took)
	}
	g.broadcast = broadcasts.median()
	return g, nil
}

// member returns the name of a container.
func member(i int) string { return "c" + strconv.Itoa(i) }

// others returns the names of all containers except one.
func others(n, but int) []string {
	var all []string
	for i := range n {
		if i != but {
			all = append(all, member(i))
		}
	}
	return all
}

// chainOnce starts n containers in reverse order. Each one waits until the previous one in
// the chain has started.
func (b *bench) chainOnce(n int) (time.Duration, error) {
	p, err := pod.New(b.binary)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	running := make([]*pod.Running, n)
	for i := n - 1; i >= 0; i-- {
		running[i], err = p.Start(pod.Container{
			Name: member(i), Command: []string{b.part, "now"},
			Spec: specOf(func(s *spec.Spec) {
				s.Container, s.Source = member(i), spec.SourceLocal
				if i > 0 {
					s.Wrapped = []string{member(i - 1)}
					s.StartDeps = []spec.Dependency{{Container: member(i - 1), Condition: spec.Started}}
				}
			}),
		})
		if err != nil {
			return 0, err
		}
		if i > 0 {
			if err := writes(running[i], running[i].Stderr, "waiting"); err != nil {
				return 0, err
			}
		}
	}
	for _, r := range running {
		if err := ended(r); err != nil {
			return 0, err
		}
	}
	first, err := clock(running[0])
	if err != nil {
		return 0, err
	}
	last, err := clock(running[n-1])
	return time.Duration(last - first), err
}

// broadcastOnce runs n containers. The hub depends on all others, and all others depend on
// the hub. When all run, broadcastOnce calls look for the hub and lets the hub exit.
func (b *bench) broadcastOnce(n int, look func(hub *pod.Running) error) (time.Duration, error) {
	p, err := pod.New(b.binary)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	running := make([]*pod.Running, n)
	for i := range n {
		signal, wrapped := syscall.SIGTERM, []string{member(0)}
		deps := []spec.Dependency{{Container: member(0), Condition: spec.Exited}}
		if i == 0 {
			signal, wrapped, deps = syscall.SIGUSR1, others(n, 0), nil
			for _, name := range wrapped {
				deps = append(deps, spec.Dependency{Container: name, Condition: spec.Exited})
			}
		}
		running[i], err = p.Start(pod.Container{
			Name: member(i), Command: []string{b.part, "until", strconv.Itoa(int(signal))},
			Spec: specOf(func(s *spec.Spec) {
				s.Container, s.Source, s.Wrapped, s.StopDeps, s.StopWhen = member(i), spec.SourceLocal, wrapped, deps, spec.StopAll
			}),
		})
		if err != nil {
			return 0, err
		}
	}
	for _, r := range running {
		if err := says(r, "up\n"); err != nil {
			return 0, err
		}
	}
	time.Sleep(settle)
	if err := look(running[0]); err != nil {
		return 0, err
	}
	if err := running[0].Signal(syscall.SIGUSR1); err != nil {
		return 0, err
	}
	exited, latest := int64(0), int64(0)
	for i, r := range running {
		if err := ended(r); err != nil {
			return 0, err
		}
		at, err := clock(r)
		if err != nil {
			return 0, err
		}
		if i == 0 {
			exited = at
		}
		latest = max(latest, at)
	}
	return time.Duration(latest - exited), nil
}

// atRest counts the resources of a wrapper and, if wakes is set, its wake-ups.
func (g *grown) atRest(pid int, wakes bool) (err error) {
	time.Sleep(calm)
	if g.usage, err = read(pid); err != nil {
		return err
	}
	for dir, count := range map[string]*int{"task": &g.threads, "fd": &g.descriptors} {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", pid, dir))
		if err != nil {
			return err
		}
		*count = len(entries)
	}
	if !wakes {
		return nil
	}
	time.Sleep(long)
	before, err := switches(pid)
	if err != nil {
		return err
	}
	time.Sleep(watch)
	after, err := switches(pid)
	g.wakes = int(time.Duration(after-before) * time.Minute / watch)
	return err
}

// switches returns how often the threads of a process have yielded a processor because they
// had nothing to do. Each wake-up ends with one such switch.
func switches(pid int) (int, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(text)) {
			if value, found := strings.CutPrefix(line, "voluntary_ctxt_switches:"); found {
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					return 0, err
				}
				sum += n
			}
		}
	}
	return sum, nil
}
