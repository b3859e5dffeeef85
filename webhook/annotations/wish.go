package annotations

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// wish contains the values that the annotations read so far set for one
// container, or for every wrapped container. It becomes an inject.Wish when all
// annotations are read.
type wish struct {
	values  map[string]json.RawMessage // by field of the spec
	places  map[string]messages.Place  // field, "command" or "gate" → where it is set
	command []string
	noGate  bool
}

// wish returns the container's wish, and creates it if necessary.
func (p *parser) wish(container string) *wish {
	w := p.wishes[container]
	if w == nil {
		w = &wish{}
		p.wishes[container] = w
	}
	return w
}

// setAt records where a field is set.
func (w *wish) setAt(field string, at messages.Place) {
	if w.places == nil {
		w.places = make(map[string]messages.Place, 1)
	}
	w.places[field] = at
}

// field reads one field.
func (p *parser) field(w *wish, at messages.Place, field string, node *yaml.Node) {
	if before, twice := w.places[field]; twice {
		p.refuseTwice(at, before)
		return
	}
	w.setAt(field, at)
	value, err := toJSON(node)
	if err != nil {
		p.add(at, err)
		return
	}
	if w.values == nil {
		w.values = make(map[string]json.RawMessage, 1)
	}
	w.values[field] = value
}

// refuseTwice rejects a setting that is also set in another place.
func (p *parser) refuseTwice(at, other messages.Place) {
	p.notes.Refuse(at, messages.GivenTwice, "", "the same setting is also in "+other.Name(), "Keep one")
}

// spec reads a spec object: fields that users may set, by their names in the
// spec.
func (p *parser) spec(w *wish, at messages.Place, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.notes.Refuse(at, messages.WrongForm, "", "the value is not a spec", `Write it as {"startDeps": ["proxy"]}`)
		return
	}
	all, err := entries(node)
	if err != nil {
		p.add(at, err)
	}
	for _, e := range all {
		if !slices.Contains(fields(), e.key) {
			p.add(at, unknownField(e.key))
			continue
		}
		p.field(w, at.Field(e.key), e.key, e.value)
	}
}

// gate reads whether to leave probes and hooks unchanged.
func (p *parser) gate(w *wish, at messages.Place, node *yaml.Node) {
	w.setAt("gate", at)
	if node.Kind != yaml.ScalarNode || node.Value != "true" && node.Value != "false" {
		p.notes.Refuse(at, messages.NotTrueOrFalse, node.Value, "the value is neither true nor false", `Set "false" to leave probes and hooks alone, or remove the annotation`)
	}
	w.noGate = node.Value == "false"
}

// command reads the full command of a container.
func (p *parser) command(w *wish, at messages.Place, node *yaml.Node) {
	w.setAt("command", at)
	text, err := toJSON(node)
	if err != nil {
		p.add(at, err)
		return
	}
	const remedy = `Write a list, for example ["/app", "--flag"]`
	var words []string
	switch err := json.Unmarshal(text, &words); {
	case err != nil:
		p.notes.Refuse(at, messages.InvalidCommand, "", "the command is not a list of strings", remedy)
	case len(words) == 0 || words[0] == "":
		p.notes.Refuse(at, messages.InvalidCommand, "", "the command names no program", remedy)
	case words[0] == spec.Binary:
		p.notes.Refuse(at, messages.OwnCommand, spec.Binary, inject.OwnProgram, inject.WriteRealCommand)
	default:
		w.command = words
	}
}

// withRest adds the settings for every container to a wish. It rejects a field
// that is set in both.
func (p *parser) withRest(w *wish) *wish {
	if len(p.rest.values) == 0 {
		return w
	}
	both := wish{values: maps.Clone(p.rest.values), places: maps.Clone(p.rest.places)}
	for _, field := range slices.Sorted(maps.Keys(p.rest.values)) {
		if at, twice := w.places[field]; twice {
			p.refuseTwice(at, p.rest.places[field])
		}
	}
	maps.Copy(both.values, w.values)
	maps.Copy(both.places, w.places)
	return &both
}

// build creates a spec from a container's values and rejects invalid ones. It
// still uses the valid values, so that more problems can be found.
func (p *parser) build(container string, w *wish) spec.Spec {
	if len(w.values) == 0 {
		s := spec.Default()
		s.Container, s.KilledExitCode = container, 0
		return s
	}
	s, err := spec.ParseWish(object(container, w.values))
	problems, _ := errors.AsType[spec.Problems](err)
	for _, problem := range problems {
		if problem.Code != spec.ExecImpossible { // inject reports this in more detail
			p.notes.Refuse(w.places[problem.Field], problem.Code, problem.Value, problem.Text, problem.Remedy)
		}
	}
	return s
}

// object encodes a spec whose values are already JSON.
func object(container string, values map[string]json.RawMessage) string {
	b := []byte{'{'}
	if container != "" {
		b = append(appendString(append(b, `"container":`...), container), ',')
	}
	if _, given := values["killedExitCode"]; !given {
		b = append(b, `"killedExitCode":0,`...)
	}
	for _, field := range slices.Sorted(maps.Keys(values)) {
		b = append(append(append(append(b, '"'), field...), `":`...), values[field]...)
		b = append(b, ',')
	}
	b[len(b)-1] = '}'
	return string(b)
}

// fields returns the fields of the spec that users may set.
func fields() []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.field)
	}
	slices.Sort(all)
	return all
}
