package webhook

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/webhook/inject"
)

// setting is an annotation that sets one field of the spec.
type setting struct {
	field string // as in the spec's JSON
	bare  bool   // a value without a container is for every wrapped one
}

// settings are the annotations that set a field, by name.
var settings = map[string]setting{
	"start-deps":        {field: "startDeps"},
	"stop-deps":         {field: "stopDeps"},
	"start-timeout":     {field: "startTimeout", bare: true},
	"stop-delay":        {field: "stopDelay", bare: true},
	"stop-signal":       {field: "stopSignal", bare: true},
	"stop-timeout":      {field: "stopTimeout", bare: true},
	"stopped-exit-code": {field: "stoppedExitCode", bare: true},
	"killed-exit-code":  {field: "killedExitCode", bare: true},
	"log-level":         {field: "logLevel", bare: true},
}

// others are the annotations that are not about one field.
var others = []string{"command", "inject", "spec", "status"}

// later are annotations of the documentation that this version refuses.
var later = []string{
	"essential", "exit-http", "gate", "mode", "on-start-timeout", "source", "stop-http", "stop-when",
}

// asked is what a pod's annotations ask for.
type asked struct {
	wishes     map[string]inject.Wish // by container
	leaveAlone bool                   // inject: "false"
	problems   []inject.Problem
	warnings   []string
}

// annotated reports whether a pod has any annotation of ours.
func annotated(annotations map[string]string) bool {
	for key := range annotations {
		if strings.HasPrefix(key, inject.Prefix) {
			return true
		}
	}
	return false
}

// parseAnnotations reads all annotations of ours and collects everything that
// is wrong with them. It does not know the pod.
func parseAnnotations(annotations map[string]string) asked {
	if strings.TrimSpace(annotations[inject.Prefix+"inject"]) == "false" {
		return asked{leaveAlone: true}
	}
	p := parser{drafts: map[string]*draft{}, bare: map[string]string{}}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if name, ours := strings.CutPrefix(key, inject.Prefix); ours {
			p.annotation(name, annotations[key])
		}
	}
	return p.finish()
}

// parser collects drafts and problems.
type parser struct {
	drafts   map[string]*draft
	bare     map[string]string // annotation → JSON
	problems []inject.Problem
}

func (p *parser) add(place, format string, args ...any) {
	p.problems = append(p.problems, inject.Problem{Place: place, Text: fmt.Sprintf(format, args...)})
}

func (p *parser) annotation(name, text string) {
	place := inject.Prefix + name
	s, known := settings[name]
	switch {
	case name == "status": // written by us, read by nobody
		return
	case name == "inject":
		if strings.TrimSpace(text) != "true" {
			p.add(place, `%q is neither "true" nor "false": write "false" to leave this pod alone`, text)
		}
		return
	case slices.Contains(later, name):
		p.add(place, "not supported yet by this version: remove it")
		return
	case !known && !slices.Contains(others, name):
		p.add(place, "%s", unknownAnnotation(name))
		return
	}
	node, err := parseYAML(text)
	switch {
	case err != nil:
		p.add(place, "%v", err)
	case node.Kind == yaml.MappingNode:
		p.containers(name, place, s, node)
	case s.bare && node.Kind == yaml.ScalarNode:
		p.everyContainer(name, place, s.field, node)
	default:
		p.add(place, "want a map from container to value, as %s, have %s", example(name), shorten(text))
	}
}

// containers reads the form container → value.
func (p *parser) containers(name, place string, s setting, node *yaml.Node) {
	all, err := entries(node)
	if err != nil {
		p.add(place, "%v", err)
	}
	for _, e := range all {
		at := fmt.Sprintf("%s: container %q", place, e.key)
		switch name {
		case "command":
			p.command(e.key, at, e.value)
		case "spec":
			p.spec(e.key, at, e.value)
		default:
			p.field(e.key, at, s.field, e.value)
		}
	}
}

// everyContainer reads the form of one value for every wrapped container.
func (p *parser) everyContainer(name, place, field string, node *yaml.Node) {
	value, err := toJSON(node)
	if err == nil {
		err = check("", field, value)
	}
	if err != nil {
		p.add(place, "%v", err)
		return
	}
	p.bare[name] = value
}

// finish turns the drafts into wishes.
func (p *parser) finish() asked {
	a := asked{wishes: map[string]inject.Wish{}}
	wrapped := false
	for _, container := range slices.Sorted(maps.Keys(p.drafts)) {
		d := p.drafts[container]
		w := inject.Wish{Places: d.places, Command: d.command}
		wrapped = wrapped || w.TakesPart()
		w.Spec = p.build(container, d)
		a.wishes[container] = w
	}
	for _, name := range slices.Sorted(maps.Keys(p.bare)) {
		if !wrapped {
			a.warnings = append(a.warnings, fmt.Sprintf("%s%s: it is for every wrapped container, but none is: give a container a dependency", inject.Prefix, name))
		}
	}
	a.problems = p.problems
	return a
}
