package annotations

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// wish is what the annotations read so far ask for one container. It becomes an
// inject.Wish when all are read.
type wish struct {
	values  map[string]string // field → JSON
	places  map[string]string // field, "command" or "gate" → where it was given
	checked spec.Spec         // of the last value that was checked, nothing else in it but the container
	command []string
	noGate  bool
}

// wish is the container's wish, made when it is not there yet.
func (p *parser) wish(container string) *wish {
	if p.wishes[container] == nil {
		p.wishes[container] = &wish{values: map[string]string{}, places: map[string]string{}}
	}
	return p.wishes[container]
}

// field reads one field of one container.
func (p *parser) field(container, at, field string, node *yaml.Node) {
	w := p.wish(container)
	if before, twice := w.places[field]; twice {
		before, _, _ = strings.Cut(before, ":")
		p.add(at, "also given in %s: keep one", before)
		return
	}
	w.places[field] = at
	value, err := toJSON(node)
	if err == nil {
		w.values[field] = value
		w.checked, err = check(container, field, value)
	}
	if err != nil {
		p.add(at, "%v", err)
	}
}

// spec reads a spec object: fields of the user's, by the spec's own names.
func (p *parser) spec(container, at string, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		p.add(at, `want a spec, as {"startDeps": ["proxy"]}`)
		return
	}
	all, err := entries(node)
	if err != nil {
		p.add(at, "%v", err)
	}
	for _, e := range all {
		if !slices.Contains(fields(), e.key) {
			p.add(at, "unknown field %q (known: %s)%s", e.key, strings.Join(fields(), ", "), didYouMean(e.key, fields()))
			continue
		}
		p.field(container, at+": "+e.key, e.key, e.value)
	}
}

// command reads the full command of a container.
func (p *parser) command(container, at string, node *yaml.Node) {
	w := p.wish(container)
	w.places["command"] = at
	text, err := toJSON(node)
	if err == nil && json.Unmarshal([]byte(text), &w.command) != nil {
		err = errors.New(`want a list of strings, as ["/app", "--flag"]`)
	}
	if err == nil && (len(w.command) == 0 || w.command[0] == "") {
		err = errors.New(`names no program: write a list, as ["/app", "--flag"]`)
	}
	if err == nil && w.command[0] == spec.Binary {
		err = fmt.Errorf("%s is koordinator's own: write the real command, koordinator puts itself before it", spec.Binary)
	}
	if err != nil {
		w.command = nil
		p.add(at, "%v", err)
	}
}

// build makes a spec of one container's values, if one is named, and of those
// for every container. What is wrong with a value has been noted, so that only what is
// good of it is used, to find more that is wrong.
func (p *parser) build(container string, w *wish) spec.Spec {
	if s, simple := p.simple(container, w); simple {
		return s
	}
	values := map[string]string{"killedExitCode": "0"}
	if container != "" {
		values["container"] = quote(container)
	}
	for _, name := range slices.Sorted(maps.Keys(p.bare)) {
		field := settings[name].field
		values[field] = p.bare[name]
		if place, twice := w.places[field]; twice {
			p.add(place, "also given in %s%s: keep one", inject.Prefix, name)
		}
	}
	maps.Copy(values, w.values)
	s, _ := spec.Parse(object(values))
	return s
}

// simple is what build makes of a container with at most one value, which has
// been read already.
func (p *parser) simple(container string, w *wish) (s spec.Spec, simple bool) {
	if len(p.bare) > 0 || len(w.values) > 1 {
		return s, false
	}
	s = spec.Default()
	if len(w.values) == 1 {
		s = w.checked
	}
	if _, given := w.values["killedExitCode"]; !given {
		s.KilledExitCode = 0
	}
	s.Container = container
	return s, true
}

// check reads one value, and is what the spec says about it.
func check(container, field, value string) (spec.Spec, error) {
	text := quote(field) + ":" + value + "}"
	if container != "" {
		text = quote("container") + ":" + quote(container) + "," + text
	}
	s, err := spec.Parse("{" + text)
	var problems spec.Problems
	if !errors.As(err, &problems) {
		return s, err
	}
	for i := range problems {
		problems[i].Field = "" // the place names it
	}
	return s, problems
}

// object writes a JSON object of values that are JSON.
func object(values map[string]string) string {
	var members []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		members = append(members, quote(key)+":"+values[key])
	}
	return "{" + strings.Join(members, ",") + "}"
}

// fields are the spec's fields that a user may set.
func fields() []string {
	var all []string
	for _, s := range settings {
		all = append(all, s.field)
	}
	slices.Sort(all)
	return all
}
