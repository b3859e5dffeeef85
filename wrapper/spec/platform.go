package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compatible are the platforms whose images a node runs, in the order in which
// the container runtime prefers them, by the wrapper's own os/architecture.
// Source: containerd, platforms.Only.
var compatible = map[string][]string{
	"linux/amd64": {"linux/amd64", "linux/386"},
	"linux/arm64": {"linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
	"linux/arm":   {"linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
}

// CommandOn is what comes before the wrapper's arguments on a node whose
// wrapper was built for that platform (os/architecture); nil where the spec
// has no commands. It is an error where the spec has some, but none for it.
func (s Spec) CommandOn(platform string) ([]string, error) {
	if len(s.Commands) == 0 {
		return nil, nil
	}
	known := slices.Sorted(maps.Keys(s.Commands))
	fits := compatible[platform]
	if fits == nil {
		fits = []string{platform}
	}
	for _, name := range known { // a variant the wrapper was not built for, better than none
		if strings.HasPrefix(name, platform+"/") && !slices.Contains(fits, name) {
			fits = append(slices.Clip(fits), name)
		}
	}
	for _, name := range fits {
		if words, found := s.Commands[name]; found {
			return words, nil
		}
	}
	return nil, fmt.Errorf("commands: the image runs something else on each platform, and none is for %s (has: %s): let the pod run on one of these by a nodeSelector, or set command: in the pod", platform, strings.Join(known, ", "))
}
