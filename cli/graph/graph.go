// Package graph shows the dependencies between the containers of a pod, and the order in
// which they stop: as text, for Graphviz and Mermaid, and as a picture.
package graph

import (
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/spec"
)

// Graph is the order of one pod.
type Graph struct {
	Title      string // name of the pod, for example "job/report"
	Containers []order.Container
	Grace      int64 // terminationGracePeriodSeconds
}

// step holds containers that start or stop at the same time.
type step []order.Container

// starts returns the steps in which the containers start. Init containers start one after
// another, as under the kubelet; every other container starts after those that it waits
// for.
func (g Graph) starts() []step {
	at := map[string]int{}
	next := 0
	for _, c := range g.Containers {
		if c.Role != order.Regular {
			at[c.Name] = next
			next++
		}
	}
	return g.steps(func(c order.Container) int {
		return g.depth(c.Name, at, next, func(c order.Container) []string { return names(c.Spec.StartDeps) })
	})
}

// stops returns the steps in which the containers stop when the pod is deleted. A container
// stops after those it holds for. Native sidecars stop after all regular containers, in
// reverse order. Init containers have already ended.
func (g Graph) stops() []step {
	at := map[string]int{}
	last := 0
	for _, c := range g.Containers {
		if c.Role == order.Regular {
			last = max(last, g.depth(c.Name, at, 0, func(c order.Container) []string { return c.Spec.HoldFor }))
		}
	}
	for _, c := range slices.Backward(g.Containers) {
		if c.Role == order.Sidecar {
			last++
			at[c.Name] = last
		}
	}
	return g.steps(func(c order.Container) int {
		if c.Role == order.Init {
			return -1
		}
		return at[c.Name]
	})
}

// depth returns the step of a container: one after the last step of the containers that
// come before it, or first if there are none. at holds the steps that are already known.
func (g Graph) depth(name string, at map[string]int, first int, after func(order.Container) []string) int {
	if d, known := at[name]; known {
		return d
	}
	c, found := g.find(name)
	if !found {
		return -1
	}
	at[name] = first // a cycle, which the webhook rejects, ends here
	d := first
	for _, other := range after(c) {
		d = max(d, g.depth(other, at, first, after)+1)
	}
	at[name] = d
	return d
}

// steps groups the containers by number, and omits those with a negative number.
func (g Graph) steps(number func(order.Container) int) []step {
	var all []step
	for _, c := range g.Containers {
		n := number(c)
		if n < 0 {
			continue
		}
		for len(all) <= n {
			all = append(all, nil)
		}
		all[n] = append(all[n], c)
	}
	return slices.DeleteFunc(all, func(s step) bool { return len(s) == 0 })
}

func (g Graph) find(name string) (order.Container, bool) {
	i := slices.IndexFunc(g.Containers, func(c order.Container) bool { return c.Name == name })
	if i < 0 {
		return order.Container{}, false
	}
	return g.Containers[i], true
}

func names(deps []spec.Dependency) []string {
	var all []string
	for _, d := range deps {
		all = append(all, d.Container)
	}
	return all
}

// wait returns a start dependency in words.
func wait(d spec.Dependency) string {
	text := d.Container + " " + condition(d.Condition)
	if d.Optional {
		text += " (optional)"
	}
	return text
}

// condition returns a condition in words.
func condition(c spec.Condition) string {
	switch c {
	case spec.Ready:
		return "is ready"
	case spec.Started:
		return "has started"
	case spec.Succeeded:
		return "has succeeded"
	case spec.Failed:
		return "has failed"
	default:
		return "has exited"
	}
}

// starting returns the start dependencies of a container in words.
func starting(c order.Container) string {
	var parts []string
	for _, d := range c.Spec.StartDeps {
		parts = append(parts, wait(d))
	}
	for _, e := range c.Spec.StartEndpoints {
		text := e.URL + " answers"
		if e.Optional {
			text += " (optional)"
		}
		parts = append(parts, text)
	}
	for _, f := range c.Spec.EnvFiles {
		parts = append(parts, f.Path+" has been read")
	}
	if len(parts) == 0 {
		return ""
	}
	text := "when " + strings.Join(parts, " and ")
	if t := c.Spec.StartTimeout; t > 0 {
		text += fmt.Sprintf("; after %s it ", t)
		if c.Spec.OnStartTimeout == spec.TimeoutStart {
			text += "starts regardless"
		} else {
			text += "fails"
		}
	}
	return text
}

// stopping returns the stop dependencies of a container in words.
func stopping(c order.Container) string {
	var parts []string
	for _, d := range c.Spec.StopDeps {
		parts = append(parts, d.Container+" "+condition(d.Condition))
	}
	if len(c.Spec.RestartWith) > 0 {
		return strings.TrimPrefix(joined(parts, c)+"; restarts when "+strings.Join(c.Spec.RestartWith, " or ")+" ends", "; ")
	}
	return joined(parts, c)
}

// joined combines stop conditions into one sentence.
func joined(parts []string, c order.Container) string {
	if len(parts) == 0 {
		return ""
	}
	word := " or "
	if c.Spec.StopWhen == spec.StopAll {
		word = " and "
	}
	return "when " + strings.Join(parts, word)
}
