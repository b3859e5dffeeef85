package image

import "slices"

// Facts are what a registry says about an image. They are shared between
// callers: read only.
type Facts struct {
	Digest    string     // of what the name stands for, an index or an image: "sha256:…"
	Platforms []Platform // at least one; in the order of the index
	Cached    bool       // no request was made for this answer
}

// Platform is the image for one kind of node.
type Platform struct {
	Name   string // os/architecture[/variant], as Go writes them: "linux/amd64", "linux/arm/v7"
	Config Config
}

// Config is how an image wants to be run.
type Config struct {
	Entrypoint []string
	Cmd        []string
	StopSignal string // as it stands there, like "SIGQUIT" or "3"; "" when not set
	User       string // name or number, with ":group" or without; "" when not set
	WorkingDir string // "" when not set
	Path       string // PATH of its environment; "" when not set
}

// Run is what a container runs, whatever node it comes to.
type Run struct {
	Argv                           // where every platform has the same
	ByPlatform map[string][]string // Argv.FromImage by Platform.Name, where they differ; else nil
	StopSignal string              // "" when not set, and where platforms differ
}

// Run merges a pod's command and args with the image's. Platforms on which
// there would be nothing to run are left out; if that is so on all, the error
// is ErrNoCommand.
func (f Facts) Run(command, args []string) (Run, error) {
	var run Run
	var first *Platform
	words := map[string][]string{}
	same := true
	for i, p := range f.Platforms {
		argv, err := Merge(command, args, p.Config)
		if err != nil {
			continue
		}
		words[p.Name] = argv.FromImage
		if first == nil {
			first = &f.Platforms[i]
			run.Argv, run.StopSignal = argv, p.Config.StopSignal
			continue
		}
		same = same && slices.Equal(run.FromImage, argv.FromImage)
		if run.StopSignal != p.Config.StopSignal {
			run.StopSignal = ""
		}
	}
	if first == nil {
		return Run{}, ErrNoCommand
	}
	if !same {
		run.FromImage, run.ByPlatform = nil, words
	}
	return run, nil
}

// platformName writes a platform as Go does. What every 64-bit ARM and x86
// processor can do is not said.
func platformName(os, architecture, variant string) string {
	switch architecture {
	case "":
		return os
	case "x86_64", "x86-64":
		architecture = "amd64"
	case "aarch64":
		architecture = "arm64"
	}
	switch {
	case architecture == "arm64" && (variant == "v8" || variant == "8"),
		architecture == "amd64" && variant == "v1":
		variant = ""
	case architecture == "arm" && variant == "":
		variant = "v7"
	}
	name := os + "/" + architecture
	if variant != "" {
		name += "/" + variant
	}
	return name
}

// size is about how much memory the facts hold, in bytes.
func (f Facts) size() int {
	total := 256
	for _, p := range f.Platforms {
		total += 256 + p.Config.size()
	}
	return total
}

// size is the length of all strings, in bytes.
func (c Config) size() int {
	total := len(c.StopSignal) + len(c.User) + len(c.WorkingDir) + len(c.Path)
	for _, words := range [][]string{c.Entrypoint, c.Cmd} {
		for _, w := range words {
			total += 16 + len(w)
		}
	}
	return total
}
