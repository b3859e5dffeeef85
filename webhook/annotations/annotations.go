// Package annotations parses the annotations and labels of a pod into settings,
// and reports everything that is wrong with them. It does not read the pod's
// spec.
package annotations

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// setting is an annotation that sets one field of the spec.
type setting struct {
	field string // its name in the spec's JSON
	bare  bool   // whether a value without a container name applies to every wrapped container
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
	"restart-with":      {field: "restartWith"},
	"env-file":          {field: "envFiles"},
	"ready-when":        {field: "readyWhen", bare: true},
}

// others are the annotations that do not set one field.
var others = []string{"command", "essential", "gate", "inject", "spec", "status"}

// Names returns the names of all annotations, without the prefix, in alphabetical
// order.
func Names() []string {
	return slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(settings)), others)))
}

// Field returns the field of the spec that an annotation sets. name is the
// annotation's name without the prefix. ok is false for an annotation that does
// not set one field.
func Field(name string) (field string, ok bool) {
	s, ok := settings[name]
	return s.field, ok
}

// Present reports whether a pod has any annotation of koordinator, or the label
// of the essential-containers controller. The status annotation does not count,
// because it sets nothing.
func Present(meta metav1.ObjectMeta) bool {
	for key := range meta.Annotations {
		if strings.HasPrefix(key, inject.Prefix) && key != inject.StatusAnnotation {
			return true
		}
	}
	return meta.Labels[inject.EssentialLabel] != ""
}

// Disabled reports whether a pod has inject: "false". koordinator does not change
// such a pod, whatever its other annotations are.
func Disabled(meta metav1.ObjectMeta) bool {
	return strings.TrimSpace(meta.Annotations[inject.Prefix+"inject"]) == "false"
}

// Read returns everything that the annotations and labels of a pod set, and
// everything that is wrong with them. root is the path of the template that
// contains them, or nil for a pod. A pod that is Disabled sets nothing.
func Read(meta metav1.ObjectMeta, root *field.Path) (inject.Asked, []messages.Problem) {
	if Disabled(meta) {
		return inject.Asked{Root: root}, nil
	}
	p := parser{notes: messages.Notes{Root: root}, wishes: map[string]*wish{}}
	for _, key := range slices.Sorted(maps.Keys(meta.Annotations)) {
		if name, found := strings.CutPrefix(key, inject.Prefix); found {
			p.annotation(name, messages.Annotation(key), meta.Annotations[key])
		}
	}
	p.label(meta.Labels[inject.EssentialLabel])
	asked := p.asked()
	asked.Root = root
	return asked, p.notes.Problems
}

// parser collects wishes and problems.
type parser struct {
	wishes    map[string]*wish // by container
	rest      wish             // for every wrapped container
	essential []inject.Essential
	notes     messages.Notes
}

func (p *parser) annotation(name string, at messages.Place, text string) {
	s, known := settings[name]
	switch {
	case name == "status": // koordinator writes this annotation, but never relies on it
		return
	case name == "inject":
		if strings.TrimSpace(text) != "true" {
			p.notes.Refuse(at, messages.NotTrueOrFalse, text, fmt.Sprintf(`%s is neither "true" nor "false"`, excerpt(text)), `Set "false" to leave this pod alone, or remove the annotation`)
		}
		return
	case !known && !slices.Contains(others, name):
		p.add(at, unknownAnnotation(name))
		return
	}
	node, err := parseYAML(text)
	switch {
	case err != nil:
		p.add(at, err)
	case name == "essential":
		p.readEssential(at, node)
	case node.Kind == yaml.MappingNode:
		p.containers(name, at, s, node)
	case name == "gate" && node.Kind == yaml.ScalarNode:
		p.gate(&p.rest, at, node)
	case s.bare && node.Kind == yaml.ScalarNode:
		p.field(&p.rest, at, s.field, node)
	default:
		p.notes.Refuse(at, messages.WrongForm, text, excerpt(text)+" is not a map from container to value", "Write it as "+example(name))
	}
}

// containers reads a map from container to value.
func (p *parser) containers(name string, at messages.Place, s setting, node *yaml.Node) {
	all, err := entries(node)
	if err != nil {
		p.add(at, err)
	}
	for _, e := range all {
		if e.key == spec.AllOthers && s.field != "startDeps" && s.field != "stopDeps" {
			p.refuseAllOthers(at, name, s.bare)
			continue
		}
		at, w := at.Of(e.key), p.wish(e.key)
		switch name {
		case "command":
			p.command(w, at, e.value)
		case "gate":
			p.gate(w, at, e.value)
		case "spec":
			p.spec(w, at, e.value)
		default:
			p.field(w, at, s.field, e.value)
		}
	}
}

// refuseAllOthers rejects "*" in place of a container name in an annotation that
// does not define dependencies.
func (p *parser) refuseAllOthers(at messages.Place, name string, bare bool) {
	remedy := "Name each container"
	if bare {
		remedy = "Write the value alone, which applies to every container that runs under koordinator"
	}
	p.notes.Refuse(at, messages.InvalidAllOthers, spec.AllOthers, fmt.Sprintf(`"*" is not a container in %s`, name), remedy)
}

// readEssential reads the containers whose exit stops all other containers.
func (p *parser) readEssential(at messages.Place, node *yaml.Node) {
	if node.Kind == yaml.MappingNode {
		p.notes.Refuse(at, messages.WrongForm, "", "a map is not a list of containers", "Write it as "+example("essential"))
		return
	}
	value, err := toJSON(node)
	if err != nil {
		p.add(at, err)
		return
	}
	w := wish{values: map[string]json.RawMessage{"stopDeps": value}, places: map[string]messages.Place{"stopDeps": at}}
	for _, d := range p.build("", &w).StopDeps {
		if d.Container == spec.AllOthers {
			p.notes.Refuse(at, messages.InvalidAllOthers, d.Container, `"*" stands for every other container, and not all of them can be essential`, "Name the essential container")
			continue
		}
		p.essential = append(p.essential, inject.Essential{Dependency: d, Place: at})
	}
}

// label reads the label of the essential-containers controller. The annotation
// takes precedence for the same container, because it may contain more.
func (p *parser) label(name string) {
	named := slices.ContainsFunc(p.essential, func(e inject.Essential) bool { return e.Container == name })
	if name != "" && !named {
		p.essential = append(p.essential, inject.Essential{
			Dependency: spec.Dependency{Container: name, Condition: spec.Succeeded},
			Place:      messages.Label(inject.EssentialLabel), Label: true,
		})
	}
}

// asked returns the collected settings. It adds a problem for each value that
// contradicts another.
func (p *parser) asked() inject.Asked {
	a := inject.Asked{Wishes: make(map[string]inject.Wish, len(p.wishes)), Essential: p.essential}
	a.Rest = inject.Wish{Spec: p.build("", &p.rest), Places: p.rest.places, NoGate: p.rest.noGate}
	for _, container := range slices.Sorted(maps.Keys(p.wishes)) {
		w := p.wishes[container]
		a.Wishes[container] = inject.Wish{
			Spec: p.build(container, p.withRest(w)), Places: w.places, Command: w.command, NoGate: w.noGate || p.rest.noGate,
		}
	}
	return a
}
