package inject

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
)

// goVariables are the variables that the Go runtime reads. Some of their values
// end any Go program before its main function. The wrapper is a Go program and
// must not get the values that are meant for the command.
var goVariables = []string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GOTRACEBACK"}

// keptEnviron returns the command's variables of the Go runtime that are withheld
// from the wrapper: their values are moved to the spec, and they are empty in the
// pod. It warns of variables that the wrapper gets nevertheless.
func keptEnviron(m *member, n *messages.Notes) map[string]string {
	var all map[string]string
	for _, e := range m.Env {
		if !slices.Contains(goVariables, e.Name) {
			continue
		}
		kept, before := m.before.Environ[e.Name]
		switch {
		case e.ValueFrom != nil || expands(e.Value):
			n.Warn(m.place().Field("env").Item(e.Name), messages.GoVariable, e.Name,
				"koordinator is a Go program, and the Go runtime reads this variable: if the value is invalid, the container exits with code 2", "Write the value directly, without valueFrom or references, so that only the command gets it")
			continue
		case e.Value == "" && !before:
			continue
		case e.Value != "" && refersTo(m.container, e.Name):
			n.Warn(m.place().Field("env").Item(e.Name), messages.GoVariable, e.Name,
				fmt.Sprintf("koordinator is a Go program and also gets this variable, because other fields refer to $(%s): if the value is invalid, the container exits with code 2", e.Name), "Write its value in place of the references")
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

// emptyEnviron empties the withheld variables.
func (p *patch) emptyEnviron(c container) {
	for i, e := range c.Env {
		if slices.Contains(goVariables, e.Name) && e.Value != "" && e.ValueFrom == nil && !expands(e.Value) && !refersTo(c, e.Name) {
			p.set("", c.pointer("env", strconv.Itoa(i), "value")...)
		}
	}
}

// expands reports whether the kubelet expands a variable in a value.
func expands(value string) bool {
	return strings.Contains(strings.ReplaceAll(value, "$$", ""), "$(")
}

// refersTo reports whether the container's command, args, other variables or exec
// probes contain $(NAME).
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
