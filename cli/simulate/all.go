package simulate

import (
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/explore"
	"koordinator.io/koordinator/wrapper/spec"
)

// All explores every run of a pod: commands end with 0 or another code at any time, become
// ready or not, and are restarted. For each container that could hang, it returns one
// sentence with the run that leads to the hang. ok is false if the pod has too many
// containers.
func All(o order.Order) (hangs []string, ok bool) {
	var specs []spec.Spec
	for _, c := range o.Containers {
		if c.Role != order.Init { // init containers end before any other container waits
			s := c.Spec
			s.Container = c.Name
			specs = append(specs, s)
		}
	}
	result, ok := explore.Pod(specs)
	if !ok {
		return nil, false
	}
	for _, h := range result.Hangs {
		hangs = append(hangs, describe(h))
	}
	for _, s := range specs {
		named := slices.ContainsFunc(result.Hangs, func(h explore.Hang) bool { return h.Container == s.Container })
		if !named && !result.Starts[s.Container] {
			hangs = append(hangs, fmt.Sprintf("%s never starts, whatever happens", s.Container))
		}
	}
	return hangs, true
}

// describe returns a hang in words.
func describe(h explore.Hang) string {
	var run []string
	for _, e := range h.Exits {
		how := "fails"
		switch {
		case e.Stopped:
			how = "is stopped"
		case e.Success:
			how = "succeeds"
		}
		run = append(run, e.Container+" "+how)
	}
	if h.Forever != "" {
		run = append(run, h.Forever+" runs on")
	}
	what := "never ends"
	if h.Waits {
		what = "waits, and never starts"
	}
	if len(run) == 0 {
		return h.Container + " " + what
	}
	return fmt.Sprintf("%s %s if %s", h.Container, what, strings.Join(run, ", then "))
}
