package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// goVariables are those that a Go program's runtime reads from its environment.
// Some values end any Go program before it begins, so the wrapper, which is one,
// must not have the command's.
var goVariables = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"}

// keptEnviron are the command's variables of the Go runtime, which are kept from the
// wrapper: their values go into the spec, and are empty in the pod. It warns of those
// that the wrapper gets all the same.
func keptEnviron(m *member, n *Notes) map[string]string {
	var all map[string]string
	for _, e := range m.Env {
		if !slices.Contains(goVariables, e.Name) {
			continue
		}
		kept, before := m.before.Environ[e.Name]
		switch {
		case e.ValueFrom != nil || expands(e.Value):
			n.warn(m.place(), fmt.Sprintf("env %s: koordinator is a Go program too, and its runtime reads this variable: a value that Go does not accept ends the container with code 2. Write the value itself, so that only the command gets it", e.Name))
			continue
		case e.Value == "" && !before:
			continue
		case e.Value != "" && refersTo(m.container, e.Name):
			n.warn(m.place(), fmt.Sprintf("env %s: other fields refer to it by $(%s), so koordinator, which is a Go program too, gets it as well: a value that Go does not accept ends the container with code 2", e.Name, e.Name))
			continue
		case e.Value != "":
			kept = strings.ReplaceAll(e.Value, "$$", "$")
		}
		if all == nil {
			all = map[string]string{}
		}
		all[e.Name] = kept
	}
	return all
}

// emptyEnviron takes the values of the kept variables away.
func (p *patch) emptyEnviron(c container) {
	for i, e := range c.Env {
		if slices.Contains(goVariables, e.Name) && e.Value != "" && e.ValueFrom == nil && !expands(e.Value) && !refersTo(c, e.Name) {
			p.set("", c.pointer("env", strconv.Itoa(i), "value")...)
		}
	}
}

// expands reports whether the kubelet replaces something in a value.
func expands(value string) bool {
	return strings.Contains(strings.ReplaceAll(value, "$$", ""), "$(")
}

// refersTo reports whether the container's command, arguments or other variables
// contain $(NAME).
func refersTo(c container, name string) bool {
	texts := slices.Concat(c.Command, c.Args)
	for _, e := range c.Env {
		texts = append(texts, e.Value)
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p != nil && p.Exec != nil {
			texts = append(texts, p.Exec.Command...)
		}
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, "$("+name+")") })
}
