// Package sidecars contains the table of sidecars that koordinator knows: how to
// detect that a sidecar is ready, and how to stop it if it has no wrapper.
package sidecars

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"koordinator.io/koordinator/wrapper/spec"
)

// Sidecar is what koordinator knows about containers of one name.
type Sidecar struct {
	Ready string        // endpoint that answers once the sidecar is ready; "": only the pod's status shows that
	Stop  *spec.Request // request that stops the sidecar; nil: none

	// Injected specifies that another webhook adds the container. Annotations may
	// name the container before it is in the pod, and it is wrapped only if its
	// settings require that.
	Injected bool

	// NeedsAnnotation is the pod annotation without which the sidecar does not answer
	// the stop request, unless the whole cluster is configured for it: "key=value",
	// or "".
	NeedsAnnotation string
	// ReadyFlag and StopFlag are the arguments without which the container does not
	// answer the respective request; "": none.
	ReadyFlag, StopFlag string
	// Instead is what users can do if there is no stop request, as an imperative.
	Instead string
}

// Table contains the known sidecars by container name.
type Table map[string]Sidecar

// entry is a Sidecar in the form of the chart value sidecars.
type entry struct {
	Ready    string `json:"ready"`
	Stop     string `json:"stop"`
	Injected *bool  `json:"injected"` // default: true
	Enabled  *bool  `json:"enabled"`  // default: true; false removes the entry, as null does
}

// Parse returns the built-in table with the entries of a JSON object, which are
// keyed by container name. An entry replaces the built-in one of the same name;
// null, or enabled: false, removes it. The error reports everything that is
// wrong.
func Parse(text string) (Table, error) {
	table := Builtin()
	if text == "" {
		return table, nil
	}
	var entries map[string]*entry
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&entries); err != nil {
		return nil, fmt.Errorf("not a JSON object of sidecars: %w", err)
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		if e := entries[name]; e == nil || e.Enabled != nil && !*e.Enabled {
			delete(table, name)
			continue
		}
		s, err := entries[name].sidecar(name)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%q: %w", name, err))
		}
		table[name] = s
	}
	return table, errors.Join(wrong...)
}

// sidecar parses an entry.
func (e *entry) sidecar(name string) (Sidecar, error) {
	s := Sidecar{Ready: e.Ready, Injected: e.Injected == nil || *e.Injected}
	var wrong []error
	if !spec.IsName(name) || name == "" {
		wrong = append(wrong, errors.New("it is not the name of a container"))
	}
	if e.Ready != "" {
		if err := spec.CheckEndpoint(e.Ready); err != nil {
			wrong = append(wrong, fmt.Errorf("ready: %w", err))
		}
	}
	if e.Stop != "" {
		r, err := spec.ParseRequest(e.Stop)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("stop: %w", err))
		}
		s.Stop = &r
	}
	return s, errors.Join(wrong...)
}

// WithLate returns the table with additional containers that other webhooks add.
// Nothing else is known about them.
func (t Table) WithLate(names []string) Table {
	all := maps.Clone(t)
	for _, name := range names {
		s := all[name]
		s.Injected = true
		all[name] = s
	}
	return all
}
