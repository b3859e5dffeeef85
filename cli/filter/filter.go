// Package filter applies the webhook's changes to the pods in manifests, and keeps the rest
// of the text, with its comments, order and formatting. It calls the webhook's own handler
// for each pod, so the result is the same. It needs no cluster.
package filter

import (
	"fmt"
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/document"
)

// Outcome is the result for one pod, or for an object without pods.
type Outcome struct {
	Object    string   // as kubectl names it
	Place     string   // path of the pod template, "" for a pod
	Namespace string   // as in the manifest, or that of the Webhook; "" if unknown
	Account   string   // service account of the pod
	Wrapped   []string // containers that run under the wrapper
	Skipped   string   // the reason if nothing was changed, "" otherwise
	Local     bool     // none of its containers calls the API server
	Problems  []string // the errors for which the webhook would reject the pod
	Warnings  []string
}

// Inject changes the pods in the documents of a text as the webhook would change them. Do
// not use the text if an outcome has problems. Inject first undoes the changes of an
// earlier call.
func Inject(source, text string, webhook *Webhook, templates []string) (string, []Outcome, error) {
	before, _, err := Undo(text)
	if err != nil {
		return "", nil, fmt.Errorf("read %s: %w", source, err)
	}
	documents, problems := document.Parse(source, before)
	if len(problems) > 0 {
		return "", nil, problems[0]
	}
	var b strings.Builder
	var all []Outcome
	for i := range documents {
		text, outcomes, err := injectOne(&documents[i], webhook, templates)
		if err != nil {
			return "", nil, err
		}
		b.WriteString(text)
		all = append(all, outcomes...)
	}
	return b.String(), all, nil
}

// injectOne changes one document.
func injectOne(d *document.Document, webhook *Webhook, templates []string) (string, []Outcome, error) {
	elements, err := d.Elements(templates)
	if err != nil {
		return "", nil, err
	}
	var all []Outcome
	after, changed := copied(d.Value).(map[string]any), false
	for _, e := range elements {
		if len(e.Pods) == 0 {
			all = append(all, Outcome{Object: e.Name(), Skipped: "it has no pod"})
		}
		for _, p := range e.Pods {
			place := slices.Concat(e.Path, p.Path)
			outcome, patched, err := webhook.review(e, p, at(after, place))
			if err != nil {
				return "", nil, fmt.Errorf("%s, %s: %w", d.Source, e.Name(), err)
			}
			all = append(all, outcome)
			changed = changed || patched
		}
	}
	if !changed {
		return d.Text, all, nil
	}
	text, err := rewrite(*d, after)
	return text, all, err
}

// copied returns a deep copy of a JSON value.
func copied(value any) any {
	switch value := value.(type) {
	case map[string]any:
		all := make(map[string]any, len(value))
		for key, v := range value {
			all[key] = copied(v)
		}
		return all
	case []any:
		all := make([]any, len(value))
		for i, v := range value {
			all[i] = copied(v)
		}
		return all
	}
	return value
}

// at returns the object at a path that leads to an object in the value.
func at(value any, path []any) map[string]any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			value = value.(map[string]any)[step]
		case int:
			value = value.([]any)[step]
		}
	}
	return value.(map[string]any)
}
