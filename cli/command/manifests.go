package command

import (
	"errors"

	"github.com/spf13/cobra"

	"koordinator.io/koordinator/cli/input"
)

// manifestFlags adds the options that select manifests, and returns their values.
func manifestFlags(cmd *cobra.Command) *input.Options {
	var o input.Options
	flags := cmd.Flags()
	flags.StringSliceVarP(&o.Files, "filename", "f", nil, `manifest: a file, a directory, a URL, or "-" for standard input; can be repeated`)
	flags.BoolVarP(&o.Recursive, "recursive", "R", false, "read the directories that are given with -f recursively")
	flags.StringVarP(&o.Kustomize, "kustomize", "k", "", "directory with a kustomization.yaml")
	flags.StringSliceVar(&o.Templates, "pod-template", nil,
		`path of the pod template in objects of custom kinds, for example "spec.worker.template" or "spec.replicatedJobs[*].template.spec.template"; by default, templates are detected by their structure`)
	return &o
}

// given reports whether any manifest is selected.
func given(o *input.Options) bool { return len(o.Files) > 0 || o.Kustomize != "" }

// required rejects a command line that selects no manifest.
func required(o *input.Options) error {
	if given(o) {
		return nil
	}
	return usageError{errors.New("no manifest is given: use -f FILE, -f - or -k DIRECTORY")}
}
