package image

import (
	"errors"
	"slices"
	"strings"
)

// ErrNoCommand is the error if neither the pod nor the image has a command.
// Container runtimes reject such a container, too.
var ErrNoCommand = errors.New("the image has neither ENTRYPOINT nor CMD")

// Argv is the command of a container in two parts, because the kubelet expands
// $(VAR) in the pod's command and args but never in the image's.
type Argv struct {
	FromImage []string // comes first; nil if the pod's command replaces it
	FromPod   []string // the pod's command and args
}

// Merge joins a pod's command and args with an image's ENTRYPOINT and CMD like
// container runtimes: a command replaces both, args replace CMD, and an image
// without ENTRYPOINT runs the pod's args unchanged. An ENTRYPOINT of one empty
// word counts as none, because builders write it if the base image's ENTRYPOINT
// was removed. The only error is ErrNoCommand.
//
// Source: containerd, internal/cri/opts, WithProcessArgs.
func Merge(command, args []string, c Config) (Argv, error) {
	if len(command) > 0 {
		return Argv{FromPod: slices.Concat(command, args)}, nil
	}
	var fromImage []string
	if len(c.Entrypoint) != 1 || c.Entrypoint[0] != "" {
		fromImage = slices.Clone(c.Entrypoint)
	}
	if len(args) == 0 {
		fromImage = append(fromImage, c.Cmd...)
	}
	if len(fromImage)+len(args) == 0 {
		return Argv{}, ErrNoCommand
	}
	return Argv{FromImage: fromImage, FromPod: slices.Clone(args)}, nil
}

// Escape doubles every $ in the words of an image, as required in a pod, where
// the kubelet replaces $$ by $ and expands $(VAR).
func Escape(words []string) []string {
	escaped := make([]string, len(words))
	for i, w := range words {
		escaped[i] = strings.ReplaceAll(w, "$", "$$")
	}
	return escaped
}
