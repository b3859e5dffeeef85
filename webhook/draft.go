package webhook

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

// draft is what the annotations read so far say about one container.
type draft struct {
	values  map[string]string // field → JSON
	places  map[string]string // field, "command" or "gate" → where it was given
	checked spec.Spec         // of the last value that was checked, nothing else in it but the container
	command []string
	noGate  bool
}

// draft is the container's draft, made when it is not there yet.
func (p *parser) draft(container string) *draft {
	if p.drafts[container] == nil {
		p.drafts[container] = &draft{values: map[string]string{}, places: map[string]string{}}
	}
	return p.drafts[container]
}

// field reads one field of one container.
func (p *parser) field(container, at, field string, node *yaml.Node) {
	d := p.draft(container)
	if before, twice := d.places[field]; twice {
		before, _, _ = strings.Cut(before, ":")
		p.add(at, "also given in %s: keep one", before)
		return
	}
	d.places[field] = at
	value, err := toJSON(node)
	if err == nil {
		d.values[field] = value
		d.checked, err = check(container, field, value)
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
	d := p.draft(container)
	d.places["command"] = at
	text, err := toJSON(node)
	if err == nil && json.Unmarshal([]byte(text), &d.command) != nil {
		err = errors.New(`want a list of strings, as ["/app", "--flag"]`)
	}
	if err == nil && (len(d.command) == 0 || d.command[0] == "") {
		err = errors.New(`names no program: write a list, as ["/app", "--flag"]`)
	}
	if err == nil && d.command[0] == spec.Binary {
		err = fmt.Errorf("%s is koordinator's own: write the real command, koordinator puts itself before it", spec.Binary)
	}
	if err != nil {
		d.command = nil
		p.add(at, "%v", err)
	}
}

// build makes a spec of one container's values, if one is named, and of those
// for every container. What is wrong with a value has been noted, so that only what is
// good of it is used, to find more that is wrong.
func (p *parser) build(container string, d *draft) spec.Spec {
	if s, simple := p.simple(container, d); simple {
		return s
	}
	values := map[string]string{"killedExitCode": "0"}
	if container != "" {
		values["container"] = quote(container)
	}
	for _, name := range slices.Sorted(maps.Keys(p.bare)) {
		field := settings[name].field
		values[field] = p.bare[name]
		if place, twice := d.places[field]; twice {
			p.add(place, "also given in %s%s: keep one", inject.Prefix, name)
		}
	}
	maps.Copy(values, d.values)
	s, _ := spec.Parse(object(values))
	return s
}

// simple is what build makes of a container with at most one value, which has
// been read already.
func (p *parser) simple(container string, d *draft) (s spec.Spec, simple bool) {
	if len(p.bare) > 0 || len(d.values) > 1 {
		return s, false
	}
	s = spec.Default()
	if len(d.values) == 1 {
		s = d.checked
	}
	if _, given := d.values["killedExitCode"]; !given {
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
