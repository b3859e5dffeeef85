package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/lint"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/sidecars"
)

// newLint returns the command that checks manifests.
func newLint() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "lint -f FILE",
		Aliases: []string{"validate"},
		Short:   "Check the koordinator annotations in manifests, without a cluster",
		Long: `Check the koordinator annotations in manifests, without a cluster.

lint reports all problems that the webhook would report when you apply the manifests. It
also reports problems that a webhook cannot detect: annotations on a workload instead of
its pod template, annotations with a misspelled prefix, a namespace in the input that is
not enabled, and orders for which native sidecar containers are sufficient.

The exit code is 1 if there are errors, and 3 if there are only warnings and
--fail-on=warning is set. Notes do not affect the exit code. lint does not look up the
commands of images.`,
		Example: `  kubectl koordinator lint -f job.yaml
  helm template ./chart | kubectl koordinator lint -f -
  kubectl koordinator lint -R -f manifests/ --fail-on=warning -o github
  kubectl koordinator lint -f job.yaml --rules values.yaml
  kubectl koordinator lint -k overlays/production -o sarif > koordinator.sarif`,
		Args: cobra.NoArgs,
	}
	from, output, known := manifestFlags(cmd), outputFlag(cmd, lint.Formats...), sidecarsFlag(cmd)
	operators := rulesFlag(cmd)
	var failOn string
	cmd.Flags().StringVar(&failOn, "fail-on", "error", "lowest severity that causes a non-zero exit code: error or warning")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := oneOf("--fail-on", failOn, "error", "warning"); err != nil {
			return err
		}
		format, err := output()
		if err != nil {
			return err
		}
		table, err := known()
		if err != nil {
			return err
		}
		if err := required(from); err != nil {
			return err
		}
		applied, err := operators()
		if err != nil {
			return err
		}
		elements, err := document.Objects(*from, cmd.InOrStdin())
		if err != nil {
			return err
		}
		report := lint.Check(elements, inject.Settings{Sidecars: table}, applied)
		if err := report.Print(cmd.OutOrStdout(), format); err != nil {
			return err
		}
		return verdict(report, failOn)
	}
	return cmd
}

// sidecarsFlag adds the option for the sidecars that an installation knows. The returned
// function returns the table with these sidecars, or a usage error.
func sidecarsFlag(cmd *cobra.Command) func() (sidecars.Table, error) {
	var text string
	cmd.Flags().StringVar(&text, "sidecars", "", "the chart value sidecars as JSON: an object that maps container names to {ready, stop, injected}, or to null to remove a built-in entry")
	return func() (sidecars.Table, error) {
		table, err := sidecars.Parse(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("--sidecars: %w", err)}
		}
		return table, nil
	}
}

// oneOf rejects a value of an option that is not one of the known words.
func oneOf(option, value string, words ...string) error {
	if slices.Contains(words, value) {
		return nil
	}
	return usageError{fmt.Errorf("%s %q is not one of %s", option, value, strings.Join(words, ", "))}
}

// verdict returns the outcome for a report that has been printed.
func verdict(report lint.Report, failOn string) error {
	switch {
	case report.Count(lint.Error) > 0:
		return badAnswer{errReported}
	case failOn == "warning" && report.Count(lint.Warning) > 0:
		return errors.Join(errReported, errWarnings)
	}
	return nil
}
