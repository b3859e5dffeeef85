package spec

import (
	"maps"
	"slices"
)

// Graph maps each container to the containers that it needs. Neighbors keep
// their order.
type Graph map[string][]string

// StartGraph returns the graph with an edge from each container to every
// container of its start dependencies. The containers of a cycle never start.
func StartGraph(specs map[string]Spec) Graph {
	g := Graph{}
	for name, s := range specs {
		for _, d := range s.StartDeps {
			g[name] = append(g[name], d.Container)
		}
	}
	return g
}

// HoldGraph returns the graph with an edge from each container to every
// container that has to exit before it when the pod is stopped: the containers
// with a started or ready start dependency on it, and the containers of its own
// stop dependencies. Two containers that stop with each other do not hold for
// each other, and a stop dependency overrides the start dependency between the
// same two. The containers of a cycle hold until the grace period is over.
func HoldGraph(specs map[string]Spec) Graph {
	stops := map[[2]string]bool{}
	for name, s := range specs {
		for _, d := range s.StopDeps {
			stops[[2]string{name, d.Container}] = true
		}
	}
	edges := map[[2]string]bool{}
	for e := range stops {
		if !stops[[2]string{e[1], e[0]}] {
			edges[e] = true
		}
	}
	for name, s := range specs {
		for _, d := range s.StartDeps {
			alive := d.Condition == Started || d.Condition == Ready
			if alive && !stops[[2]string{name, d.Container}] {
				edges[[2]string{d.Container, name}] = true
			}
		}
	}
	g := Graph{}
	for e := range edges {
		g[e[0]] = append(g[e[0]], e[1])
	}
	for name := range g {
		slices.Sort(g[name])
	}
	return g
}

// Cycles returns cycles of the graph that share no container, each as a path
// that ends where it began. Equal graphs give equal results.
func (g Graph) Cycles() [][]string {
	if g.acyclic() {
		return nil
	}
	rest := maps.Clone(g)
	var cycles [][]string
	for _, name := range slices.Sorted(maps.Keys(g)) {
		cycle := rest.cycle(name)
		if cycle == nil {
			continue
		}
		cycles = append(cycles, cycle)
		for _, done := range cycle {
			delete(rest, done)
		}
	}
	return cycles
}

// acyclic reports whether the graph has no cycle. It takes much less time than
// the search for all cycles.
func (g Graph) acyclic() bool {
	left := make(map[string]bool, len(g)) // false while a container's own neighbors are visited
	var visit func(string) bool
	visit = func(name string) bool {
		if done, seen := left[name]; seen {
			return done
		}
		left[name] = false
		for _, next := range g[name] {
			if !visit(next) {
				return false
			}
		}
		left[name] = true
		return true
	}
	for name := range g {
		if !visit(name) {
			return false
		}
	}
	return true
}

// cycle returns a shortest cycle through a container, or nil if there is none.
func (g Graph) cycle(name string) []string {
	before := map[string]string{}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, next := range g[queue[0]] {
			if next == name {
				return append(pathTo(queue[0], before), name)
			}
			if _, seen := before[next]; !seen {
				before[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// pathTo returns the path to a container. before contains the previous container
// of every container on it but the first.
func pathTo(name string, before map[string]string) []string {
	path := []string{name}
	for at, more := before[name]; more; at, more = before[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	return path
}

// Exit is an exit that must have happened before a container starts.
type Exit struct {
	Dependency          // Exited or Succeeded
	Path       []string // from the starting container to the exited one
}

// ExitsBefore lists the exits that the start of the named container implies,
// including those through the start dependencies of its start dependencies. It
// lists each exit once, with the shortest path. Optional dependencies imply
// nothing, because they may be dropped.
func ExitsBefore(specs map[string]Spec, name string) []Exit {
	var exits []Exit
	before, listed := map[string]string{}, map[Dependency]bool{}
	for queue := []string{name}; len(queue) > 0; queue = queue[1:] {
		for _, d := range specs[queue[0]].StartDeps {
			if d.Optional {
				continue
			}
			if (d.Condition == Exited || d.Condition == Succeeded) && !listed[d] {
				listed[d] = true
				exits = append(exits, Exit{d, append(pathTo(queue[0], before), d.Container)})
			}
			if _, seen := before[d.Container]; !seen && d.Container != name {
				before[d.Container] = queue[0]
				queue = append(queue, d.Container)
			}
		}
	}
	return exits
}

// Implies reports whether every exit that meets c also meets other.
func (c Condition) Implies(other Condition) bool {
	return c == other || other == Exited && (c == Succeeded || c == Failed)
}
