package graph

import (
	"fmt"
	"strconv"
	"strings"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/spec"
)

// Dot returns the graph for Graphviz. Solid arrows lead from a container to those that
// start after it, dashed ones to those that it stops.
func (g Graph) Dot() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %s {\n\trankdir=LR\n\tnode [shape=box]\n", strconv.Quote(g.Title))
	for _, c := range g.Containers {
		look := ""
		if !c.Wrapped {
			look = " [style=dashed]"
		}
		fmt.Fprintf(&b, "\t%q%s\n", c.Name, look)
	}
	g.edges(func(from, to string, label string, stop bool) {
		look := ""
		if stop {
			look = ", style=dashed, constraint=false"
		}
		fmt.Fprintf(&b, "\t%q -> %q [label=%q%s]\n", from, to, label, look)
	})
	b.WriteString("}\n")
	return b.String()
}

// Mermaid returns the graph for Mermaid, with the same arrows.
func (g Graph) Mermaid() string {
	var b strings.Builder
	fmt.Fprintf(&b, "---\ntitle: %s\n---\nflowchart LR\n", strconv.Quote(g.Title))
	number := map[string]int{}
	node := func(name string) string {
		if n, known := number[name]; known {
			return fmt.Sprintf("c%d", n)
		}
		number[name] = len(number)
		return fmt.Sprintf("c%d[%q]", number[name], name)
	}
	for _, c := range g.Containers {
		fmt.Fprintf(&b, "  %s\n", node(c.Name))
	}
	g.edges(func(from, to string, label string, stop bool) {
		arrow := "-->"
		if stop {
			arrow = "-.->"
		}
		fmt.Fprintf(&b, "  %s %s|%q| %s\n", node(from), arrow, label, node(to))
	})
	return b.String()
}

// edges calls draw for each dependency, with the dependency first and its dependent second.
func (g Graph) edges(draw func(from, to, label string, stop bool)) {
	for _, c := range g.Containers {
		for _, d := range c.Spec.StartDeps {
			label := string(d.Condition)
			if d.Optional {
				label += "?"
			}
			draw(d.Container, c.Name, label, false)
		}
		for _, d := range c.Spec.StopDeps {
			draw(d.Container, c.Name, "stops: "+string(d.Condition), true)
		}
	}
}

// view is a graph as JSON.
type view struct {
	Title      string      `json:"title"`
	Start      [][]string  `json:"start"` // names, step by step
	Stop       [][]string  `json:"stop"`
	Containers []container `json:"containers"`
}

type container struct {
	Name      string            `json:"name"`
	Role      order.Role        `json:"role"`
	Wrapped   bool              `json:"wrapped"`
	StartDeps []spec.Dependency `json:"startDeps,omitempty"`
	StopDeps  []spec.Dependency `json:"stopDeps,omitempty"`
	HoldFor   []string          `json:"holdFor,omitempty"`
}

// View returns the graph in the form that is encoded as JSON.
func (g Graph) View() any {
	v := view{Title: g.Title, Start: lists(g.starts()), Stop: lists(g.stops())}
	for _, c := range g.Containers {
		v.Containers = append(v.Containers, container{c.Name, c.Role, c.Wrapped, c.Spec.StartDeps, c.Spec.StopDeps, c.Spec.HoldFor})
	}
	return v
}

func lists(steps []step) [][]string {
	all := [][]string{}
	for _, s := range steps {
		var names []string
		for _, c := range s {
			names = append(names, c.Name)
		}
		all = append(all, names)
	}
	return all
}
