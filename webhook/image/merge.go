package image

import (
	"errors"
	"slices"
	"strings"
)

// ErrNoCommand is the answer where neither the pod nor the image says what to
// run. The runtime refuses such a container, too.
var ErrNoCommand = errors.New("the image has neither ENTRYPOINT nor CMD")

// Argv is what a container runs, in two parts, since the kubelet expands
// $(VAR) in what stands in the pod and never in what stands in the image.
type Argv struct {
	FromImage []string // comes first; nil where the pod's command replaces it
	FromPod   []string // the pod's command and args
}

// Merge is the rule by which container runtimes join a pod's command and args
// with an image's ENTRYPOINT and CMD: a command replaces both, args replace
// CMD, and an image without ENTRYPOINT runs the pod's args as they are. An
// ENTRYPOINT of one empty word is none: that is how builders write that the
// base image's was removed. The only error is ErrNoCommand.
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

// Escape is words of an image as they have to be written into a pod, every $
// doubled: the kubelet makes $ of $$ and replaces $(VAR).
func Escape(words []string) []string {
	escaped := make([]string, len(words))
	for i, w := range words {
		escaped[i] = strings.ReplaceAll(w, "$", "$$")
	}
	return escaped
}
