package command

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/cluster"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/picture"
	"koordinator.io/koordinator/cli/timeline"
)

// newTimeline returns the command that shows the history of pods.
func newTimeline() *cobra.Command {
	var from string
	var chain bool
	cmd := &cobra.Command{
		Use:   "timeline TARGET…",
		Short: "Show what happened in a pod, when and why",
		Long: `Show what happened in a pod: when each container was created, started, became ready,
received a stop request and exited, and why. timeline reads the pod's status, its events
and the log lines of the wrappers, so it also works for finished pods.

The target is pod/x, job/x, cronjob/x (its latest Job), deploy/x, sts/x or ds/x. If a pod
failed, the first line names the cause.

The kubelet keeps only the logs of the current and of one previous run of a container. The
times of containers that are not wrapped are rounded to seconds.

-o evidence prints all data that timeline read, as a file for --from. You can also use
--from with a directory that contains pod.yaml or pod.json, events.yaml, and the logs of
the containers with timestamps, NAME.log and NAME.previous.log.`,
		Example: `  kubectl koordinator timeline job/report
  kubectl koordinator timeline job/report --critical-chain
  kubectl koordinator timeline cronjob/nightly -o svg > timeline.svg
  kubectl koordinator timeline deploy/web -o html > timeline.html
  kubectl koordinator timeline pod/report-x7k2p -o evidence > report.json
  kubectl koordinator timeline --from report.json`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	where := clusterFlags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "file or directory with the saved output of -o evidence; no cluster is needed")
	cmd.Flags().BoolVar(&chain, "critical-chain", false, "print the chain of causes that led to the last event, like -o chain")
	output := outputFlag(cmd, "text", "log", "chain", "json", "svg", "html", "evidence")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		if chain {
			format = "chain"
		}
		all, err := evidence(cmd, where, from, args)
		if err != nil {
			return err
		}
		if format == "evidence" {
			return printJSON(cmd.OutOrStdout(), all)
		}
		var lines []timeline.Timeline
		var orders []ordered
		for _, e := range all {
			lines = append(lines, timeline.Of(e.History()))
			o, err := order.Of(&e.Pod, "", nil)
			if err != nil {
				o = order.Order{} // an empty order is not drawn
			}
			orders = append(orders, ordered{"pod/" + e.Pod.Name, o})
		}
		return printTimelines(cmd.OutOrStdout(), format, lines, orders)
	}
	return cmd
}

// evidence returns the evidence of the pods that the arguments name, or saved evidence.
func evidence(cmd *cobra.Command, where *scope, from string, args []string) ([]cluster.Evidence, error) {
	switch {
	case from != "":
		return cluster.Load(from)
	case len(args) == 0 && where.selector == "" && !where.everywhere:
		return nil, usageError{errors.New("name a target, for example job/report")}
	}
	pods, c, err := where.pods(cmd, args)
	if err != nil {
		return nil, err
	}
	var all []cluster.Evidence
	for _, pod := range pods {
		e, missing := c.Evidence(cmd.Context(), pod)
		for _, m := range missing {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: not read: %s\n", m)
		}
		all = append(all, e)
	}
	return all, nil
}

// printTimelines prints timelines in a format. orders are the orders of the same pods.
func printTimelines(to io.Writer, format string, lines []timeline.Timeline, orders []ordered) error {
	switch format {
	case "json":
		return printJSON(to, lines)
	case "svg":
		if err := single(format, len(lines)); err != nil {
			return err
		}
		_, err := io.WriteString(to, lines[0].Picture().SVG())
		return err
	case "html":
		_, err := io.WriteString(to, pageOf(lines, orders).HTML())
		return err
	}
	for i, t := range lines {
		if i > 0 {
			fmt.Fprintln(to)
		}
		show := func() error { return t.Text(to, colourful(to)) }
		switch format {
		case "log":
			show = func() error { return t.LogText(to) }
		case "chain":
			show = func() error { return t.ChainText(to) }
		}
		if err := show(); err != nil {
			return err
		}
	}
	return nil
}

// pageOf returns a page with all timelines and the intended order of each pod.
func pageOf(lines []timeline.Timeline, orders []ordered) *picture.Page {
	page := &picture.Page{Title: "Timeline"}
	for i, t := range lines {
		var graph *picture.Picture
		if len(orders[i].order.Containers) > 0 {
			graph = graphOf(orders[i]).Picture()
		}
		t.Page(page, graph)
	}
	return page
}
