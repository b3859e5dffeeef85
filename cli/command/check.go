package command

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/check"
	"koordinator.io/koordinator/cli/cluster"
)

// checkOptions holds the options of check.
type checkOptions struct {
	where  *scope
	pre    bool
	into   string // namespace to install the chart into, for pre
	wait   time.Duration
	failOn string
}

// newCheck returns the command that checks an installation.
func newCheck() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [TARGET…]",
		Short: "Check the installation and the namespace, and find out why a pod was not injected",
		Long: `Check whether koordinator is installed and healthy, and whether the namespace is enabled.
For targets (pod/x, job/x, deploy/x …), also find out why their pods are not injected.

The checks cover the webhook configurations, the replicas and the serving certificate: its
issuer, its validity period, and whether the API server trusts it. In addition, a pod is
sent to the API server as a dry run. Each problem is printed with a remedy. Objects that
you are not allowed to read are reported as warnings.

The exit code is 1 if there is an error (×), and 3 if there are only warnings (‼) and
--fail-on=warning is set. A namespace that is not enabled causes an error if it is set
with -n, and a warning otherwise.`,
		Example: `  kubectl koordinator check
  kubectl koordinator check -n shop --wait 2m
  kubectl koordinator check deploy/web
  kubectl koordinator check --pre`,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.where = clusterFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.pre, "pre", false, "check whether the chart can be installed")
	flags.StringVar(&o.into, "install-namespace", "koordinator-io", "namespace of the chart, for --pre")
	flags.DurationVar(&o.wait, "wait", 0, "repeat the checks until there is no error, for at most this time")
	flags.StringVar(&o.failOn, "fail-on", "error", "lowest severity that causes a non-zero exit code: error or warning")
	output := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		if err := oneOf("--fail-on", o.failOn, "error", "warning"); err != nil {
			return err
		}
		if o.pre && len(args) > 0 {
			return usageError{errors.New("--pre has no target: it checks a cluster in which koordinator is not installed yet")}
		}
		report, err := o.run(cmd, args)
		if err != nil {
			return err
		}
		if err := printReport(cmd.OutOrStdout(), format, report); err != nil {
			return err
		}
		switch {
		case report.Count(check.Error) > 0:
			return badAnswer{errReported}
		case o.failOn == "warning" && report.Count(check.Warning) > 0:
			return errors.Join(errReported, errWarnings)
		}
		return nil
	}
	return cmd
}

// printReport prints a report in a format.
func printReport(to io.Writer, format string, report check.Report) error {
	if format == "json" {
		return printJSON(to, report)
	}
	return report.Print(to, colourful(to))
}

// run runs the checks, and repeats them with --wait.
func (o *checkOptions) run(cmd *cobra.Command, args []string) (check.Report, error) {
	c, err := o.where.checker()
	if err != nil {
		return check.Report{}, err
	}
	if o.pre {
		return check.Repeat(cmd.Context(), o.wait, func() (check.Report, error) { return c.Requirements(cmd.Context(), o.into) })
	}
	pods, targets, err := o.where.open(args)
	if err != nil {
		return check.Report{}, err
	}
	return check.Repeat(cmd.Context(), o.wait, func() (check.Report, error) {
		q, err := o.question(cmd, pods, targets)
		if err != nil {
			return check.Report{}, err
		}
		return c.Check(cmd.Context(), q)
	})
}

// question turns the targets into a question. It finds their pods again on each call.
func (o *checkOptions) question(cmd *cobra.Command, pods *cluster.Cluster, targets []cluster.Target) (q check.Question, err error) {
	if !o.where.everywhere {
		q.Namespace, q.Named = pods.Namespace(), *o.where.flags.Namespace != ""
	}
	if len(targets) == 0 && o.where.selector != "" {
		q.Pods, err = pods.Selected(cmd.Context(), o.where.selector)
		return q, err
	}
	for _, target := range targets {
		found, err := pods.Pods(cmd.Context(), []cluster.Target{target}, o.where.selector)
		var none cluster.NoPodError
		switch {
		case errors.As(err, &none):
			q.Missing = append(q.Missing, check.Owner{Kind: strings.ToLower(target.Kind), Name: target.Name})
		case err != nil:
			return q, err
		}
		q.Pods = append(q.Pods, found...)
	}
	return q, nil
}

// checker returns a Checker for the cluster that kubectl's options select.
func (s *scope) checker() (*check.Checker, error) {
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return check.New(config)
}
