// Package chaos makes random pods and judges what became of them. In: a seed, or
// a pod and the events that its containers wrote. Out: a manifest, or what
// contradicts docs/semantics.md and docs/annotations.md. The rules are written
// from these pages, and share nothing with the wrapper.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Condition is one of the conditions of docs/semantics.md.
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

// String is the dependency as an annotation has it.
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

	Runs   time.Duration // until the command ends by itself; 0: never
	Code   int           // and with which code
	Probe  bool          // it has a readiness probe
	Gets   time.Duration // how long after the start that passes
	Ends   time.Duration // how long the command takes to end after SIGTERM
	Hook   bool          // it has a preStop hook
	Lively bool          // it has a liveness probe
}

// Mishap is what happens to a pod from outside.
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
	Grace      time.Duration // of its deletion
	Mishap     Mishap
	Victim     string        // whose wrapper is killed
	After      time.Duration // when the mishap comes, from the creation
}

// New is the pod of a seed.
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
	return p
}

// random is a container that starts after some of the earlier ones.
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

// find is the container of that name.
func (p Pod) find(name string) Container {
	for _, c := range p.Containers {
		if c.Name == name {
			return c
		}
	}
	return Container{}
}

// Manifest is the pod as a user applies it. Its containers write what happens to
// them into the file "log" of a directory of the node.
func (p Pod) Manifest(name, directory string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\n  labels: {chaos: \"\"}\n  annotations:\n", name)
	for _, annotation := range []struct {
		name string
		of   func(Container) string
	}{
		{"start-deps", func(c Container) string { return list(c.StartDeps) }},
		{"stop-deps", func(c Container) string { return list(c.StopDeps) }},
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

func list(deps []Dep) string {
	var texts []string
	for _, d := range deps {
		texts = append(texts, d.String())
	}
	return strings.Join(texts, ", ")
}

// manifest is the container, whose command is a shell.
func (c Container) manifest() string {
	runs := 3600.0
	if c.Runs > 0 {
		runs = c.Runs.Seconds()
	}
	script := fmt.Sprintf(`say() { read at _ </proc/uptime; echo "$at %s $1" >>/events/log; }
trap 'say term; sleep %.1f; say "ends 0"; exit 0' TERM
say runs
(sleep %.1f; say ready; touch /tmp/ready) &
sleep %.1f & wait $!
say "ends %d"
exit %d`, c.Name, c.Ends.Seconds(), c.Gets.Seconds(), runs, c.Code, c.Code)
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
