package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/graph"
)

// newGraph returns the command that shows the order of a pod.
func newGraph() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "graph [TARGET…]",
		Short: "Show the dependencies of containers, and the order in which they start and stop",
		Long: `Show the order of the containers of a pod: the steps in which they start, the conditions
that each container waits for, the containers that stop others, and the order in which
they stop when the pod is deleted.

The pod comes from a manifest (-f, -k), which requires no cluster, or from a target in the
cluster: pod/x, job/x, cronjob/x, deploy/x, sts/x, ds/x. With -f, a target selects one
object of the manifests.`,
		Example: `  kubectl koordinator graph -f job.yaml
  helm template ./chart | kubectl koordinator graph -f - deployment/web
  kubectl koordinator graph -f job.yaml -o svg > order.svg
  kubectl koordinator graph job/report -o mermaid`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	from := sourceFlags(cmd)
	output := outputFlag(cmd, "text", "dot", "mermaid", "svg", "html", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		all, err := from.orders(cmd, args)
		if err != nil {
			return err
		}
		var graphs []graph.Graph
		for _, o := range all {
			graphs = append(graphs, graphOf(o))
		}
		return printGraphs(cmd.OutOrStdout(), format, graphs)
	}
	return cmd
}

// graphOf returns the graph of a pod.
func graphOf(o ordered) graph.Graph {
	return graph.Graph{Title: o.title, Containers: o.order.Containers, Grace: o.order.GracePeriod}
}

// printGraphs prints graphs in a format.
func printGraphs(to io.Writer, format string, graphs []graph.Graph) error {
	switch format {
	case "svg":
		if err := single(format, len(graphs)); err != nil {
			return err
		}
		_, err := io.WriteString(to, graphs[0].Picture().SVG())
		return err
	case "html":
		_, err := io.WriteString(to, graph.Page(graphs).HTML())
		return err
	case "json":
		views := make([]any, len(graphs))
		for i, g := range graphs {
			views[i] = g.View()
		}
		return printJSON(to, views)
	}
	for i, g := range graphs {
		text := g.Text()
		switch format {
		case "dot":
			text = g.Dot()
		case "mermaid":
			text = g.Mermaid()
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := fmt.Fprint(to, text); err != nil {
			return err
		}
	}
	return nil
}
