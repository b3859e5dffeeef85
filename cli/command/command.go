// Package command implements the command line of kubectl koordinator: its commands and
// options, and the mapping of outcomes to exit codes. The other packages of the tool do the
// commands' work.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// name is the program as users call it.
const name = "kubectl koordinator"

// Main runs one command line and returns the exit code. It writes data to out, and reports
// and errors to problems.
func Main(args []string, in io.Reader, out, problems io.Writer) int {
	root := newRoot()
	reached := false
	root.PersistentPreRun = func(*cobra.Command, []string) { reached = true }
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(problems)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root.ExecuteContext(ctx)
	if err != nil && !reached { // the command line is not valid
		err = usageError{err}
	}
	report(problems, err)
	return codeOf(err)
}

// newRoot returns the tree of all commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "kubectl-koordinator",
		Short: "Check, draw, simulate and follow the order of a pod's containers",
		Long: `kubectl koordinator complements kubectl apply. Before you apply a manifest, it checks,
draws and simulates the order in which the containers of a pod start and stop. Afterwards,
it shows what happened in running and finished pods.

Data is printed to standard output, and reports are printed to standard error. All
commands have the same exit codes:

  0  no problem was found
  1  a problem was found, for example a container that could hang
  2  the command line is invalid
  3  only warnings were found, and --fail-on=warning is set
  4  the cluster or a file could not be read`,
		Example: `  kubectl koordinator graph -f job.yaml
  helm template ./chart | kubectl koordinator simulate -f -`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newCheck(), newCompletion(), newExplain(), newGraph(), newInject(), newLint(), newSimulate(), newStatus(), newTimeline(), newUninject(), newVersion())
	root.SetHelpCommand(&cobra.Command{Hidden: true, Use: "no-help"}) // --help prints the same
	for _, cmd := range root.Commands() {
		refineArgs(cmd)
	}
	return root
}

// noSuchCommand rejects an unknown command and suggests similar ones.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf(", did you mean %q?", near[0])
	}
	return errors.New(text + " See " + cmd.CommandPath() + " --help")
}

// refineArgs makes each command that only groups others reject unknown words as the root
// command does.
func refineArgs(cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	cmd.Args = noSuchCommand
	if cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s needs a subcommand: see %s --help", cmd.CommandPath(), cmd.CommandPath())}
		}
	}
}

// report prints an error that has not been reported yet.
func report(to io.Writer, err error) {
	if err == nil || errors.Is(err, errReported) {
		return
	}
	fmt.Fprintf(to, "error: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n       "))
}
