package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/cluster"
	"koordinator.io/koordinator/cli/timeline"
)

// newStatus returns the command that shows the state of containers.
func newStatus() *cobra.Command {
	var watch bool
	var from string
	cmd := &cobra.Command{
		Use:   "status [TARGET…]",
		Short: "Show what each container is doing, what it waits for and for how long",
		Long: `Show what each container of a pod is currently doing, what it waits for and for how long.
status reads the pod's status and the log lines of the wrappers, and executes nothing in
the pod. Without a target, it shows all injected pods of the namespace.

-o wide adds the kind of each container, its exit code and the node of the pod. -o name
prints only the names of the pods, as input for other commands.`,
		Example: `  kubectl koordinator status job/report
  kubectl koordinator status -A
  kubectl koordinator status deploy/web -w
  kubectl koordinator status job/report -o yaml`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	where := clusterFlags(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "print again whenever a pod changes, until all pods have finished")
	cmd.Flags().StringVar(&from, "from", "", "file or directory with the saved output of timeline -o evidence; no cluster is needed")
	output := outputFlag(cmd, "table", "wide", "json", "yaml", "name")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		if from != "" {
			all, err := cluster.Load(from)
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), format, all)
		}
		pods, c, err := where.pods(cmd, args)
		if err != nil {
			return err
		}
		s := statusView{cmd: cmd, cluster: c, format: format, seen: map[string]string{}}
		if !watch {
			return s.print(pods)
		}
		return s.watch(args, where)
	}
	return cmd
}

// statusView prints the status of pods.
type statusView struct {
	cmd     *cobra.Command
	cluster *cluster.Cluster
	format  string
	seen    map[string]string // rows by pod, as last printed
}

// print prints the current state of pods.
func (s *statusView) print(pods []corev1.Pod) error {
	var all []cluster.Evidence
	for _, pod := range pods {
		e, missing := s.cluster.Evidence(s.cmd.Context(), pod)
		for _, m := range missing {
			fmt.Fprintf(s.cmd.ErrOrStderr(), "warning: not read: %s\n", m)
		}
		all = append(all, e)
	}
	return printStatus(s.cmd.OutOrStdout(), s.format, all)
}

// watch prints the pods again whenever their state has changed, until all have ended.
func (s *statusView) watch(args []string, where *scope) error {
	_, targets, err := where.open(args)
	if err != nil {
		return err
	}
	return s.cluster.Watch(s.cmd.Context(), targets, where.selector, func(all, news []corev1.Pod) (bool, error) {
		return ended(all), s.changed(news)
	})
}

// changed prints the pods whose rows have changed.
func (s *statusView) changed(pods []corev1.Pod) error {
	var news []cluster.Evidence
	for _, pod := range pods {
		e, _ := s.cluster.Evidence(s.cmd.Context(), pod)
		text := fmt.Sprint(rows(e, false))
		if key := pod.Namespace + "/" + pod.Name; s.seen[key] != text {
			s.seen[key] = text
			news = append(news, e)
		}
	}
	if len(news) == 0 {
		return nil
	}
	return printStatus(s.cmd.OutOrStdout(), s.format, news)
}

// ended reports whether every pod has ended.
func ended(pods []corev1.Pod) bool {
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			return false
		}
	}
	return true
}

// columns are the columns of the status; more are the additional columns of the format wide.
var (
	columns = []string{"POD", "CONTAINER", "STATE", "AGE", "RESTARTS", "DETAIL"}
	more    = []string{"KIND", "EXIT CODE", "NODE"}
)

// rows returns a row for each container of a pod, with a value for each of columns and more.
func rows(e cluster.Evidence, ages bool) [][]string {
	t := timeline.Of(e.History())
	var all [][]string
	for _, l := range t.Lanes {
		state, detail, since := l.Now()
		age, code := "-", "-"
		if ages && !since.IsZero() {
			age = timeline.Age(e.Read.Sub(since))
		}
		if l.Code != nil {
			code = fmt.Sprint(*l.Code)
		}
		all = append(all, []string{t.Pod, l.Container.Name, state, age, fmt.Sprint(l.Restarts), detail, l.Container.Role, code, cmp.Or(e.Pod.Spec.NodeName, "-")})
	}
	return all
}

// printStatus prints pods in a format.
func printStatus(to io.Writer, format string, all []cluster.Evidence) error {
	switch format {
	case "json":
		return printJSON(to, statuses(all))
	case "yaml":
		text, err := yaml.Marshal(statuses(all))
		if err != nil {
			return err
		}
		_, err = to.Write(text)
		return err
	case "name":
		for _, e := range all {
			fmt.Fprintf(to, "pod/%s\n", e.Pod.Name)
		}
		return nil
	}
	names := columns
	if format == "wide" {
		names = slices.Concat(columns, more)
	}
	w := printers.GetNewTabWriter(to)
	fmt.Fprintln(w, strings.Join(names, "\t"))
	for _, e := range all {
		for _, r := range rows(e, true) {
			fmt.Fprintln(w, strings.Join(r[:len(names)], "\t"))
		}
	}
	return w.Flush()
}

// statuses returns the statuses of pods.
func statuses(all []cluster.Evidence) []timeline.Status {
	list := []timeline.Status{}
	for _, e := range all {
		list = append(list, timeline.Of(e.History()).Status())
	}
	return list
}
