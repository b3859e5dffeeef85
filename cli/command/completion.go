package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// pluginScript is the script that kubectl runs to complete the plugin's command line. It
// must be a file named kubectl_complete-koordinator in PATH.
const pluginScript = `#!/bin/sh
exec kubectl koordinator __complete "$@"
`

// newCompletion returns the command that prints completion scripts.
func newCompletion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion",
		Short: "Print a completion script",
		Long: `Print a shell completion script for the command kubectl-koordinator.

To complete kubectl koordinator, kubectl runs a script of the plugin. Write the output of
"completion kubectl" to an executable file kubectl_complete-koordinator in PATH.`,
		Example: `  source <(kubectl-koordinator completion bash)
  kubectl koordinator completion kubectl > ~/.local/bin/kubectl_complete-koordinator
  chmod +x ~/.local/bin/kubectl_complete-koordinator`,
	}
	for _, shell := range []struct {
		name  string
		print func(root *cobra.Command, to io.Writer) error
	}{
		{"bash", func(root *cobra.Command, to io.Writer) error { return root.GenBashCompletionV2(to, true) }},
		{"zsh", (*cobra.Command).GenZshCompletion},
		{"fish", func(root *cobra.Command, to io.Writer) error { return root.GenFishCompletion(to, true) }},
		{"powershell", (*cobra.Command).GenPowerShellCompletionWithDesc},
		{"kubectl", func(_ *cobra.Command, to io.Writer) error {
			_, err := io.WriteString(to, pluginScript)
			return err
		}},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:     shell.name,
			Short:   fmt.Sprintf("Print the completion script for %s", shell.name),
			Example: "  kubectl koordinator completion " + shell.name,
			Args:    cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return shell.print(cmd.Root(), cmd.OutOrStdout())
			},
		})
	}
	return cmd
}
