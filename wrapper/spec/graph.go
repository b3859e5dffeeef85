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
	rest := maps.Clone(g)
	var cycles [][]string
	for _, name := range slices.Sorted(maps.Keys(g)) {
		cycle := rest.path(name, name)
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

// path returns a shortest path of at least one edge, including both ends, or
// nil if there is none.
func (g Graph) path(from, to string) []string {
	before := map[string]string{}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, next := range g[queue[0]] {
			if _, seen := before[next]; seen {
				continue
			}
			before[next] = queue[0]
			if next == to {
				return trace(before, from, to)
			}
			queue = append(queue, next)
		}
	}
	return nil
}

func trace(before map[string]string, from, to string) []string {
	path := []string{to}
	for at := before[to]; ; at = before[at] {
		path = append(path, at)
		if at == from {
			slices.Reverse(path)
			return path
		}
	}
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
	seen, listed := map[string]bool{name: true}, map[Dependency]bool{}
	for queue := [][]string{{name}}; len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		for _, d := range specs[path[len(path)-1]].StartDeps {
			if d.Optional {
				continue
			}
			exit := (d.Condition == Exited || d.Condition == Succeeded) && !listed[d]
			if !exit && seen[d.Container] {
				continue
			}
			longer := append(slices.Clone(path), d.Container)
			if exit {
				listed[d] = true
				exits = append(exits, Exit{d, longer})
			}
			if !seen[d.Container] {
				seen[d.Container] = true
				queue = append(queue, longer)
			}
		}
	}
	return exits
}

// Implies reports whether every exit that meets c also meets other.
func (c Condition) Implies(other Condition) bool {
	return c == other || other == Exited && (c == Succeeded || c == Failed)
}
