package graph

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"koordinator.io/koordinator/cli/order"
)

// Text returns the order in words.
func (g Graph) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nStart\n", g.Title)
	table(&b, g.starts(), func(c order.Container) string { return starting(c) })
	if stopped := g.stopped(); len(stopped) > 0 {
		fmt.Fprint(&b, "\nStop of single containers\n")
		table(&b, []step{stopped}, stopping)
	}
	fmt.Fprintf(&b, "\nStop of the pod (grace period %ds)\n", g.Grace)
	table(&b, g.stops(), func(c order.Container) string {
		if len(c.Spec.HoldFor) == 0 {
			return ""
		}
		return "after " + strings.Join(c.Spec.HoldFor, ", ")
	})
	lines := strings.Split(b.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ") // an empty last column leaves blanks
	}
	return strings.Join(lines, "\n")
}

// stopped returns the containers that others stop.
func (g Graph) stopped() step {
	var all step
	for _, c := range g.Containers {
		if len(c.Spec.StopDeps)+len(c.Spec.RestartWith) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// table prints steps, one line for each container.
func table(to io.Writer, steps []step, say func(order.Container) string) {
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	for i, s := range steps {
		number := fmt.Sprint(i + 1)
		for _, c := range s {
			note := say(c)
			if c.Role != order.Regular {
				note = strings.TrimSpace(string(c.Role) + "  " + note)
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\n", number, c.Name, note)
			number = ""
		}
	}
	_ = w.Flush() // writing to memory does not fail
}
