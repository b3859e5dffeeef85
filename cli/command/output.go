package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/moby/term"
	"github.com/spf13/cobra"
)

// outputFlag adds the option -o with these formats. The first one is the default. The
// returned function returns the chosen format, or a usage error.
func outputFlag(cmd *cobra.Command, formats ...string) func() (string, error) {
	var format string
	cmd.Flags().StringVarP(&format, "output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // it fails only for an unknown flag
	return func() (string, error) {
		if !slices.Contains(formats, format) {
			return "", usageError{fmt.Errorf("-o %s: want one of %s", format, strings.Join(formats, ", "))}
		}
		return format, nil
	}
}

// printJSON prints a value as JSON.
func printJSON(to io.Writer, value any) error {
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// single rejects several pods for a format that can show only one.
func single(format string, n int) error {
	if n == 1 {
		return nil
	}
	return usageError{fmt.Errorf("-o %s shows one pod, and there are %d: name one, or use -o html", format, n)}
}

// colourful reports whether output goes to a terminal and the user has not disabled colours
// (https://no-color.org).
func colourful(to io.Writer) bool {
	f, isFile := to.(*os.File)
	return isFile && term.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
