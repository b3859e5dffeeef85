package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/cluster"
	"koordinator.io/koordinator/cli/explain"
)

// explainOptions holds the options of explain.
type explainOptions struct {
	source

	container string
}

// newExplain returns the command that explains annotations, exit codes, messages and settings.
func newExplain() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain WORD… | TARGET [-c CONTAINER]",
		Short: "Explain an annotation, an exit code, a message, or the settings of a container",
		Long: `Explain what an annotation, a condition, an exit code or a message of koordinator means,
and what to do about it. For a message, the code in brackets is sufficient.

With a manifest (-f, -k) or a target in the cluster (pod/x, job/x, deploy/x …), explain
lists the effective settings of each container, or only of the container that -c selects.
For each setting, it prints the value and the annotation that sets it.`,
		Example: `  kubectl koordinator explain start-deps
  kubectl koordinator explain 69
  kubectl koordinator explain KO201
  kubectl koordinator explain "koordinator: stopped: main exited with code 0"
  kubectl koordinator explain -f job.yaml -c main
  kubectl koordinator explain pod/report-x7k2p -c main`,
		ValidArgsFunction: cobra.FixedCompletions(explain.Words(), cobra.ShellCompDirectiveNoFileComp),
	}
	o.source = sourceFlags(cmd)
	cmd.Flags().StringVarP(&o.container, "container", "c", "", "container whose settings are listed")
	output := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		if o.aboutContainers(args) {
			return o.settings(cmd, format, args)
		}
		if len(args) == 0 {
			return usageError{errors.New("specify a word to explain (start-deps, 69, KO201), or a manifest or target to list its settings")}
		}
		entries, err := explain.Find(strings.Join(args, " "))
		if err != nil {
			return usageError{err}
		}
		return printAll(cmd.OutOrStdout(), format, entries)
	}
	return cmd
}

// aboutContainers reports whether the arguments select containers. explain then lists the
// containers' settings.
func (o *explainOptions) aboutContainers(args []string) bool {
	if given(o.manifests) || o.container != "" || o.where.selector != "" || o.where.everywhere {
		return true
	}
	if len(args) != 1 || !strings.Contains(args[0], "/") {
		return false
	}
	_, err := cluster.ParseTarget(args[0])
	return err == nil
}

// settings prints the settings of containers.
func (o *explainOptions) settings(cmd *cobra.Command, format string, args []string) error {
	all, err := o.orders(cmd, args)
	if err != nil {
		return err
	}
	var found []explain.Container
	var names []string
	for _, one := range all {
		for _, c := range one.order.Containers {
			names = append(names, c.Name)
			if o.container != "" && c.Name != o.container {
				continue
			}
			d, err := explain.Describe(one.title, one.order.Asked, c)
			if err != nil {
				return err
			}
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return usageError{fmt.Errorf("-c %s: no such container (has: %s)", o.container, strings.Join(names, ", "))}
	}
	return printAll(cmd.OutOrStdout(), format, found)
}

// printable is a value that explain can print.
type printable interface{ Print(to io.Writer) error }

// printAll prints explanations, or the settings of containers, in a format.
func printAll[T printable](to io.Writer, format string, all []T) error {
	if format == "json" {
		return printJSON(to, all)
	}
	for i, one := range all {
		if i > 0 {
			fmt.Fprintln(to)
		}
		if err := one.Print(to); err != nil {
			return err
		}
	}
	return nil
}
