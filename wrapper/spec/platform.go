package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// compatible maps the wrapper's own os/architecture to the platforms of the
// images that a node runs, in the order in which the container runtime prefers
// them. Source: containerd, platforms.Only.
var compatible = map[string][]string{
	"linux/amd64": {"linux/amd64", "linux/386"},
	"linux/arm64": {"linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
	"linux/arm":   {"linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm/v5"},
}

// CommandOn returns the words that precede the wrapper's arguments on a node
// whose wrapper was built for that platform (os/architecture). It returns nil
// if the spec has no commands, and an error if it has commands but none for the
// platform.
func (s Spec) CommandOn(platform string) ([]string, error) {
	if len(s.Commands) == 0 {
		return nil, nil
	}
	known := slices.Sorted(maps.Keys(s.Commands))
	fits := compatible[platform]
	if fits == nil {
		fits = []string{platform}
	}
	for _, name := range known { // a variant that the wrapper was not built for, as a last resort
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
