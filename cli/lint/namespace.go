package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/rbac"
)

// enabledValue is the value of the label that enables a namespace.
const enabledValue = "enabled"

// namespacesOf returns the namespaces among the objects, by name.
func namespacesOf(elements []document.Element) map[string]document.Element {
	all := map[string]document.Element{}
	for _, e := range elements {
		if kind := e.Object.Object.GroupVersionKind(); kind.Group == "" && kind.Kind == "Namespace" {
			all[e.Object.Object.GetName()] = e
		}
	}
	return all
}

// enabled reports a pod with annotations in a namespace of the same input that is not
// enabled. Namespaces that are not in the input exist only in the cluster and are not
// checked.
func (c *checker) enabled(e document.Element, p input.Pod) {
	name := e.Object.Object.GetNamespace()
	ns, given := c.namespaces[name]
	if !given || ns.Object.Object.GetLabels()[rbac.EnabledLabel] == enabledValue || p.Pod.Labels[rbac.EnabledLabel] == enabledValue {
		return
	}
	c.add(e, Finding{
		Level: Warning, Code: messages.NamespaceNotOn, Path: metadataOf(p.Place) + ".annotations",
		Sentence: fmt.Sprintf("the koordinator annotations have no effect, because the namespace %q is not enabled", name),
		Remedy:   fmt.Sprintf("Add the label %s: %s to the namespace (%s:%d)", rbac.EnabledLabel, enabledValue, ns.Source, ns.Document.Line),
	})
}

// namespace reports labels that look like the label that enables a namespace but do not enable it.
func (c *checker) namespace(e document.Element) {
	add := func(path, sentence string) {
		c.add(e, Finding{
			Level: Error, Code: messages.Misplaced, Path: path, Sentence: sentence,
			Remedy: fmt.Sprintf("To enable koordinator, set the label %s: %s", rbac.EnabledLabel, enabledValue),
		})
	}
	labels := e.Object.Object.GetLabels()
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.HasPrefix(key, inject.Prefix) && key != rbac.EnabledLabel {
			add("metadata.labels["+key+"]", fmt.Sprintf("the label %s has no effect on a namespace", key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Object.Object.GetAnnotations())) {
		if strings.HasPrefix(key, inject.Prefix) {
			add("metadata.annotations["+key+"]", fmt.Sprintf("the annotation %s has no effect on a namespace", key))
		}
	}
	if value, given := labels[rbac.EnabledLabel]; given && value != enabledValue && value != "disabled" {
		add("metadata.labels["+rbac.EnabledLabel+"]", fmt.Sprintf("the value %q does not enable koordinator, only %q does", value, enabledValue))
	}
}
