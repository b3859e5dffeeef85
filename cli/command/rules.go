package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/rules"
)

// rulesFlag adds the option for the rules of an installation. The returned function reads
// them; an invalid file is a usage error.
func rulesFlag(cmd *cobra.Command) func() ([]rules.Rule, error) {
	var path string
	cmd.Flags().StringVar(&path, "rules", "", "file with the rules of the installation: the values of the chart, or only the value rules. Namespaces that are not in the input are treated as enabled, and a namespaceSelector can match them only by name")
	return func() ([]rules.Rule, error) {
		if path == "" {
			return nil, nil
		}
		all, err := rules.Load(path)
		if err != nil {
			return nil, usageError{fmt.Errorf("--rules: %w", err)}
		}
		return all, nil
	}
}
