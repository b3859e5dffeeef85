package image

import "slices"

// Facts are what a registry reports about an image. Callers share them and must
// not change them.
type Facts struct {
	Digest    string     // of the index or image that the name refers to: "sha256:…"
	Platforms []Platform // at least one; in the order of the index
	Cached    bool       // no request was made for this answer
}

// Platform is the image for one kind of node.
type Platform struct {
	Name   string // os/architecture[/variant], in Go's notation: "linux/amd64", "linux/arm/v7"
	Config Config
}

// Config contains the settings with which an image is run.
type Config struct {
	Entrypoint []string
	Cmd        []string
	StopSignal string // as in the image, for example "SIGQUIT" or "3"; "" if not set
	User       string // name or number, with or without ":group"; "" if not set
	WorkingDir string // "" if not set
	Path       string // PATH of its environment; "" if not set
}

// Run is the command of a container, on every node on which it may run.
type Run struct {
	Argv                           // if it is the same on every platform
	ByPlatform map[string][]string // Argv.FromImage by Platform.Name if platforms differ; otherwise nil
	StopSignal string              // "" if not set, or if platforms differ
}

// Run merges a pod's command and args with those of the image. It omits platforms
// without a command. If no platform has one, the error is ErrNoCommand.
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

// platformName returns a platform in Go's notation. It omits variants that all
// 64-bit ARM or x86 processors support.
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

// size returns the approximate memory use of the facts, in bytes.
func (f Facts) size() int {
	total := 256
	for _, p := range f.Platforms {
		total += 256 + p.Config.size()
	}
	return total
}

// size returns the total length of all strings, in bytes.
func (c Config) size() int {
	total := len(c.StopSignal) + len(c.User) + len(c.WorkingDir) + len(c.Path)
	for _, words := range [][]string{c.Entrypoint, c.Cmd} {
		for _, w := range words {
			total += 16 + len(w)
		}
	}
	return total
}
