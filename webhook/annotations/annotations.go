// Package annotations turns a pod's metadata into what its annotations and labels
// ask of koordinator, and everything that is wrong with them. It does not know
// the pod.
package annotations

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
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
	"mode":              {field: "mode", bare: true},
	"on-start-timeout":  {field: "onStartTimeout", bare: true},
	"source":            {field: "source", bare: true},
	"stop-when":         {field: "stopWhen", bare: true},
	"stop-http":         {field: "stopHTTP"},
	"exit-http":         {field: "exitHTTP"},
}

// others are the annotations that are not about one field.
var others = []string{"command", "essential", "gate", "inject", "spec", "status"}

// Names are those of all annotations, without the prefix, in alphabetical order.
func Names() []string {
	return slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(settings)), others)))
}

// Present reports whether a pod has any annotation of koordinator, or the label
// of the essential-containers controller.
func Present(meta metav1.ObjectMeta) bool {
	for key := range meta.Annotations {
		if strings.HasPrefix(key, inject.Prefix) {
			return true
		}
	}
	return meta.Labels[inject.EssentialLabel] != ""
}

// Disabled reports whether a pod says inject: "false": koordinator leaves it alone
// whatever else it asks.
func Disabled(meta metav1.ObjectMeta) bool {
	return strings.TrimSpace(meta.Annotations[inject.Prefix+"inject"]) == "false"
}

// Read is everything that the annotations and labels of a pod ask, and everything
// that is wrong with them. A pod that is Disabled asks nothing.
func Read(meta metav1.ObjectMeta) (inject.Asked, []inject.Problem) {
	if Disabled(meta) {
		return inject.Asked{}, nil
	}
	p := parser{wishes: map[string]*wish{}, bare: map[string]string{}}
	for _, key := range slices.Sorted(maps.Keys(meta.Annotations)) {
		if name, ours := strings.CutPrefix(key, inject.Prefix); ours {
			p.annotation(name, meta.Annotations[key])
		}
	}
	p.label(meta.Labels[inject.EssentialLabel])
	asked := p.asked()
	return asked, p.problems
}

// parser collects wishes and problems.
type parser struct {
	wishes    map[string]*wish  // by container
	bare      map[string]string // annotation → JSON
	noGate    bool              // gate: false, for every container
	essential []inject.Essential
	problems  []inject.Problem
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
	case !known && !slices.Contains(others, name):
		p.add(place, "%s", unknownAnnotation(name))
		return
	}
	node, err := parseYAML(text)
	switch {
	case err != nil:
		p.add(place, "%v", err)
	case name == "essential":
		p.readEssential(place, node)
	case node.Kind == yaml.MappingNode:
		p.containers(name, place, s, node)
	case name == "gate" && node.Kind == yaml.ScalarNode:
		p.noGate = p.gateOff(place, node)
	case s.bare && node.Kind == yaml.ScalarNode:
		p.everyContainer(name, place, s.field, node)
	default:
		p.add(place, "want a map from container to value, as %s, have %s", example(name), excerpt(text))
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
		case "gate":
			w := p.wish(e.key)
			w.places["gate"], w.noGate = at, p.gateOff(at, e.value)
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
		_, err = check("", field, value)
	}
	if err != nil {
		p.add(place, "%v", err)
		return
	}
	p.bare[name] = value
}

// readEssential reads the containers whose exit stops all others.
func (p *parser) readEssential(place string, node *yaml.Node) {
	value, err := toJSON(node)
	if err == nil && node.Kind == yaml.MappingNode {
		err = fmt.Errorf("want a list of containers, as %s", example("essential"))
	}
	var s spec.Spec
	if err == nil {
		s, err = check("", "stopDeps", value)
	}
	if err != nil {
		p.add(place, "%v", err)
		return
	}
	for _, d := range s.StopDeps {
		p.essential = append(p.essential, inject.Essential{Dependency: d, Place: place})
	}
}

// label reads the label of the essential-containers controller. The annotation
// may say more of the same container.
func (p *parser) label(name string) {
	named := slices.ContainsFunc(p.essential, func(e inject.Essential) bool { return e.Container == name })
	if name != "" && !named {
		p.essential = append(p.essential, inject.Essential{
			Dependency: spec.Dependency{Container: name, Condition: spec.Succeeded},
			Place:      "label " + inject.EssentialLabel, Label: true,
		})
	}
}

// gateOff reads whether probes and hooks are to be left alone.
func (p *parser) gateOff(place string, node *yaml.Node) bool {
	if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
		p.add(place, `want true or false: "false" leaves probes and hooks alone`)
	}
	return node.Value == "false"
}

// asked is what has been collected. It adds a problem for each value that
// contradicts another.
func (p *parser) asked() inject.Asked {
	a := inject.Asked{Wishes: map[string]inject.Wish{}, Essential: p.essential}
	for _, container := range slices.Sorted(maps.Keys(p.wishes)) {
		w := p.wishes[container]
		a.Wishes[container] = inject.Wish{
			Spec: p.build(container, w), Places: w.places, Command: w.command, NoGate: w.noGate || p.noGate,
		}
	}
	a.Rest = inject.Wish{Spec: p.build("", &wish{}), Places: map[string]string{}, NoGate: p.noGate}
	for name := range p.bare {
		a.Rest.Places[settings[name].field] = inject.Prefix + name
	}
	if p.noGate {
		a.Rest.Places["gate"] = inject.Prefix + "gate"
	}
	return a
}
