package command

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/check"
	"koordinator.io/koordinator/wrapper/spec"
)

// newVersion returns the command that prints the versions of the tool, the webhook and the wrappers.
func newVersion() *cobra.Command {
	var own bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program, the webhook and the wrappers",
		Long: `Print the versions of this program, of the webhook in the cluster, and of the wrappers in
the injected pods of the namespace, or of all namespaces with -A. Differences between the
versions are reported on standard error.`,
		Example: `  kubectl koordinator version
  kubectl koordinator version -A -o json
  kubectl koordinator version --client`,
		Args: cobra.NoArgs,
	}
	where := clusterFlags(cmd)
	cmd.Flags().BoolVar(&own, "client", false, "print the version of this program only; no cluster is needed")
	output := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		format, err := output()
		if err != nil {
			return err
		}
		if format == "text" {
			fmt.Fprintf(cmd.OutOrStdout(), "client: %s %s/%s\n", spec.Release, runtime.GOOS, runtime.GOARCH)
		}
		versions := check.Versions{Client: spec.Release}
		if !own {
			if versions, err = where.versions(cmd); err != nil {
				return err
			}
		}
		if format == "json" {
			return printJSON(cmd.OutOrStdout(), versions)
		}
		fmt.Fprint(cmd.OutOrStdout(), versions.Text())
		for _, note := range versions.Notes {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", note)
		}
		return nil
	}
	return cmd
}

// versions reads the versions from the cluster.
func (s *scope) versions(cmd *cobra.Command) (check.Versions, error) {
	c, err := s.checker()
	if err != nil {
		return check.Versions{}, err
	}
	pods, _, err := s.open(nil)
	if err != nil {
		return check.Versions{}, err
	}
	return c.Versions(cmd.Context(), spec.Release, pods.Namespace())
}
