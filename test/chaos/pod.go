// Package chaos generates random pods and checks their behavior. It turns a seed into a pod
// and its manifest, and compares the events that the pod's containers wrote with the pages
// conditions.md, runtime.md and annotations.md in docs/reference. The rules are derived
// from these pages, and share no code with the wrapper.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Condition is one of the conditions of docs/reference/conditions.md.
type Condition string

// The conditions.
const (
	Started   Condition = "started"
	Ready     Condition = "ready"
	Exited    Condition = "exited"
	Succeeded Condition = "succeeded"
	Failed    Condition = "failed"
)

// Dep is a dependency on another container.
type Dep struct {
	On        string
	Condition Condition
	Optional  bool
}

// String returns the dependency in the notation of the annotations.
func (d Dep) String() string {
	text := d.On + "=" + string(d.Condition)
	if d.Optional {
		text += "?"
	}
	return text
}

// Container is one container and how its command behaves.
type Container struct {
	Name      string
	StartDeps []Dep
	StopDeps  []Dep
	StopAll   bool // stop-when: all
	AllOthers bool // it has stop dependencies on all other containers, written "*"

	Files       []string // containers for whose file it waits, with file endpoints
	RestartWith []string

	Runs   time.Duration // until the command ends by itself; 0: never
	Code   int           // exit code of the command
	Probe  bool          // it has a readiness probe
	Gets   time.Duration // time from the start until the probe passes
	Ends   time.Duration // how long the command takes to end after SIGTERM
	Hook   bool          // it has a preStop hook
	Lively bool          // it has a liveness probe
}

// Mishap is an external event that affects a pod.
type Mishap string

// The mishaps.
const (
	None   Mishap = ""
	Delete Mishap = "the pod is deleted"
	Kill   Mishap = "a wrapper is killed"
)

// Pod is a random pod.
type Pod struct {
	Seed       uint64
	Policy     string // restartPolicy
	Containers []Container
	Grace      time.Duration // grace period of its deletion
	Mishap     Mishap
	Victim     string        // the container whose wrapper is killed
	After      time.Duration // time from the creation to the mishap
}

// New returns the pod for a seed.
func New(seed uint64) Pod {
	r := rand.New(rand.NewPCG(seed, 1))
	p := Pod{
		Seed: seed, Policy: pick(r, "Never", "Never", "Always"),
		Grace: pick(r, 20*time.Second, 30*time.Second, 60*time.Second),
		After: time.Duration(r.IntN(8000)) * time.Millisecond, Mishap: pick(r, None, None, Delete, Kill),
	}
	names := []string{"a", "b", "c", "d"}[:2+r.IntN(3)]
	for i, name := range names {
		p.Containers = append(p.Containers, random(r, p.Policy, name, names[:i]))
	}
	for i := range p.Containers { // stop dependencies may point anywhere
		for _, other := range names {
			if other != names[i] && r.IntN(4) == 0 {
				condition := pick(r, Exited, Exited, Succeeded, Failed)
				p.Containers[i].StopDeps = append(p.Containers[i].StopDeps, Dep{On: other, Condition: condition})
			}
		}
		p.Containers[i].StopAll = r.IntN(4) == 0
	}
	p.Victim = names[r.IntN(len(names))]
	p.extend(rand.New(rand.NewPCG(seed, 2)))
	return p
}

// extend adds features to some pods: a file endpoint, stop dependencies on all other
// containers, or a container that restarts with another one, which ends repeatedly.
func (p *Pod) extend(r *rand.Rand) {
	last, first := &p.Containers[len(p.Containers)-1], &p.Containers[0]
	if r.IntN(3) == 0 {
		last.Files = []string{first.Name}
	}
	switch {
	case p.Policy == "Never" && r.IntN(3) == 0:
		last.AllOthers, last.StopDeps = true, nil
		for _, other := range p.Containers[:len(p.Containers)-1] {
			last.StopDeps = append(last.StopDeps, Dep{On: other.Name, Condition: Exited})
		}
	case p.Policy == "Always" && r.IntN(2) == 0:
		last.RestartWith = []string{first.Name}
		first.Runs, first.Code = time.Duration(2+r.IntN(5))*time.Second, pick(r, 0, 3)
	}
}

// random returns a container that starts after some of the earlier ones.
func random(r *rand.Rand, policy, name string, earlier []string) Container {
	c := Container{
		Name: name, Probe: r.IntN(2) == 0, Hook: r.IntN(4) == 0, Lively: r.IntN(3) == 0,
		Gets: time.Duration(r.IntN(2500)) * time.Millisecond, Ends: time.Duration(r.IntN(3)) * time.Second,
	}
	if policy == "Never" && r.IntN(2) == 0 {
		c.Runs, c.Code = time.Duration(1+r.IntN(5))*time.Second, pick(r, 0, 0, 3)
	}
	for _, other := range earlier {
		if r.IntN(2) == 0 {
			continue
		}
		condition := pick(r, Started, Ready, Ready, Exited, Succeeded)
		if policy == "Always" {
			condition = pick(r, Started, Ready)
		}
		c.StartDeps = append(c.StartDeps, Dep{other, condition, r.IntN(5) == 0})
	}
	return c
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// find returns the container with a name.
func (p Pod) find(name string) Container {
	for _, c := range p.Containers {
		if c.Name == name {
			return c
		}
	}
	return Container{}
}

// Manifest returns the pod as a user applies it. Its containers append their events to the
// file "log" in a directory of the node.
func (p Pod) Manifest(name, directory string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  labels: {chaos: \"\"}\n  annotations:\n", name)
	for _, annotation := range []struct {
		name string
		of   func(Container) string
	}{
		{"start-deps", Container.startDeps},
		{"stop-deps", func(c Container) string {
			if c.AllOthers {
				return `"*"`
			}
			return list(c.StopDeps)
		}},
		{"restart-with", func(c Container) string { return strings.Join(c.RestartWith, ", ") }},
		{"stop-when", func(c Container) string {
			if c.StopAll && len(c.StopDeps) > 0 {
				return "all"
			}
			return ""
		}},
	} {
		var lines []string
		for _, c := range p.Containers {
			if value := annotation.of(c); value != "" {
				lines = append(lines, fmt.Sprintf("      %s: %s\n", c.Name, value))
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&b, "    koordinator.io/%s: |\n%s", annotation.name, strings.Join(lines, ""))
		}
	}
	fmt.Fprintf(&b, "spec:\n  restartPolicy: %s\n  terminationGracePeriodSeconds: 60\n  automountServiceAccountToken: false\n", p.Policy)
	fmt.Fprintf(&b, "  volumes: [{name: events, hostPath: {path: %s, type: DirectoryOrCreate}}]\n  containers:\n", directory)
	for _, c := range p.Containers {
		b.WriteString(c.manifest())
	}
	return b.String()
}

// startDeps returns the start dependencies in the notation of the annotations.
func (c Container) startDeps() string {
	texts := make([]string, 0, 2)
	if len(c.StartDeps) > 0 {
		texts = append(texts, list(c.StartDeps))
	}
	for _, name := range c.Files {
		texts = append(texts, "file://"+fileOf(name))
	}
	return strings.Join(texts, ", ")
}

// fileOf returns the path of the file that a container creates when it is ready.
func fileOf(name string) string { return "/events/" + name + ".up" }

func list(deps []Dep) string {
	var texts []string
	for _, d := range deps {
		texts = append(texts, d.String())
	}
	return strings.Join(texts, ", ")
}

// manifest returns the container. Its command is a shell script.
func (c Container) manifest() string {
	runs := 3600.0
	if c.Runs > 0 {
		runs = c.Runs.Seconds()
	}
	script := fmt.Sprintf(`say() { read at _ </proc/uptime; echo "$at %s $1" >>/events/log; }
trap 'say term; sleep %.1f; say "ends 0"; exit 0' TERM
say runs
(sleep %.1f; say ready; touch /tmp/ready %s) &
sleep %.1f & wait $!
say "ends %d"
exit %d`, c.Name, c.Ends.Seconds(), c.Gets.Seconds(), fileOf(c.Name), runs, c.Code, c.Code)
	lines := []string{
		fmt.Sprintf("    - name: %s", c.Name),
		"      image: busybox:1.37",
		"      volumeMounts: [{name: events, mountPath: /events}]",
		"      command:\n        - sh\n        - -c\n        - |\n          " + strings.ReplaceAll(script, "\n", "\n          "),
	}
	if c.Probe {
		lines = append(lines, "      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, timeoutSeconds: 60}")
	}
	if c.Lively {
		lines = append(lines, "      livenessProbe: {exec: {command: [\"true\"]}, periodSeconds: 2, timeoutSeconds: 60}")
	}
	if c.Hook {
		lines = append(lines, "      lifecycle: {preStop: {exec: {command: [sleep, \"1\"]}}}")
	}
	return strings.Join(lines, "\n") + "\n"
}
