package cluster

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"koordinator.io/koordinator/test/cluster/part"
)

// Status writes the state of the parts to out and reports whether the cluster is up: every
// part runs and the nodes are ready. It takes at most seconds and changes nothing.
func (c *Cluster) Status(ctx context.Context, out io.Writer) bool {
	s, err := c.load()
	if err != nil {
		fmt.Fprintf(out, "cluster %s: %v\n", c.layout.Name, err)
		return false
	}
	fmt.Fprintf(out, "cluster %s: %s\n", c.layout.Name, s.Versions)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	up := true
	for _, name := range part.Names(len(s.Nodes)) {
		identity, err := c.record(name)
		switch {
		case err != nil:
			up = false
			fmt.Fprintf(table, "%s\t-\tnot started\n", name)
		case !identity.Alive():
			up = false
			fmt.Fprintf(table, "%s\t%d\tended, see %s\n", name, identity.PID, c.layout.LogFile(name))
		default:
			fmt.Fprintf(table, "%s\t%d\truns\n", name, identity.PID)
		}
	}
	_ = table.Flush()
	a, err := c.api(s)
	for _, node := range c.nodes(s) {
		problem := err
		if problem == nil {
			problem = a.ready(ctx, node.Name)
		}
		if problem != nil {
			up = false
			fmt.Fprintf(out, "node %s: not ready: %v\n", node.Name, problem)
			continue
		}
		fmt.Fprintf(out, "node %s: ready\n", node.Name)
	}
	if !s.Usable {
		fmt.Fprintln(out, "the start was never finished: run up")
	}
	return up && s.Usable
}

// running returns the state of a cluster that is up. A cluster with a missing part is not up.
func (c *Cluster) running(ctx context.Context) (state, bool) {
	s, err := c.load()
	if err != nil || !s.Usable {
		return s, false
	}
	for _, name := range part.Names(len(s.Nodes)) {
		if identity, err := c.record(name); err != nil || !identity.Alive() {
			return s, false
		}
	}
	a, err := c.api(s)
	return s, err == nil && a.get(ctx, "/readyz", nil) == nil
}

// Load imports image archives, from docker save or in OCI layout, into every node that runs,
// for use by pods.
func (c *Cluster) Load(ctx context.Context, archives []string) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	for _, node := range c.nodes(s) {
		if !exists(node) {
			continue
		}
		if err := c.loadArchives(ctx, s.first().Bin, node, archives); err != nil {
			return err
		}
	}
	return nil
}
