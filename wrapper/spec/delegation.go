package spec

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Delegation is the stop of a container without a wrapper. The wrappers of the
// containers that it depends on perform it.
type Delegation struct {
	Container string       // the container to stop
	Request   Request      // the request that stops it
	StopWhen  StopWhen     // how many of StopDeps must hold
	StopDeps  []Dependency // its stop dependencies; one is on the spec's own container
}

// delegationWire is a Delegation as JSON.
type delegationWire struct {
	Container string   `json:"container"`
	Request   string   `json:"request"`
	StopWhen  string   `json:"stopWhen,omitempty"`
	StopDeps  []string `json:"stopDeps"`
}

// wireDelegations returns delegations in their JSON form.
func wireDelegations(all []Delegation) []delegationWire {
	var list []delegationWire
	for _, d := range all {
		list = append(list, delegationWire{d.Container, d.Request.String(), unless(d.StopWhen, StopAny), texts(d.StopDeps)})
	}
	return list
}

// parseDelegations parses a list of delegations.
func parseDelegations(v json.RawMessage, to *[]Delegation) error {
	var list []delegationWire
	if err := strict(v, &list); err != nil {
		return err
	}
	for i, w := range list {
		d, err := w.delegation()
		if err != nil {
			return within(fmt.Sprintf("[%d]", i), err)
		}
		*to = append(*to, d)
	}
	return nil
}

// delegation parses the fields of a delegation.
func (w delegationWire) delegation() (Delegation, error) {
	d := Delegation{Container: w.Container, StopWhen: StopWhen(w.StopWhen)}
	if w.StopWhen == "" {
		d.StopWhen = StopAny
	}
	if !IsName(d.Container) || d.Container == "" {
		return d, wrong(InvalidDependency, w.Container, "Write its name", "container: %q is not the name of a container", w.Container)
	}
	if d.StopWhen != StopAny && d.StopWhen != StopAll {
		return d, wrong(UnknownWord, w.StopWhen, "Use one of any, all", "stopWhen: %q is not a valid value", w.StopWhen)
	}
	var err error
	if d.Request, err = ParseRequest(w.Request); err != nil {
		return d, within("request", err)
	}
	for _, text := range w.StopDeps {
		dep, err := parseDep(text, stopDep)
		if err != nil {
			return d, within("stopDeps", err)
		}
		d.StopDeps = append(d.StopDeps, dep)
	}
	return d, nil
}

// checkDelegated finds delegations that this container cannot perform.
func (p *parser) checkDelegated() {
	for _, d := range p.spec.Delegated {
		own := func(dep Dependency) bool { return dep.Container == p.spec.Container }
		if !slices.ContainsFunc(d.StopDeps, own) || p.spec.Container == "" {
			p.add("delegated", InvalidDependency, d.Container, "Name it in stopDeps, and set container to its name", "%q has no stop dependency on this container", d.Container)
		}
	}
}
