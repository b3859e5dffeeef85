package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/webhook/rbac"
	"koordinator.io/koordinator/wrapper/spec"
)

// written is a koordinator key in an object.
type written struct {
	path string // path of the map that contains it
	key  string
}

// at returns the path of the key itself.
func (w written) at() string { return w.path + "[" + w.key + "]" }

// elsewhere lists the keys that have no effect anywhere in a manifest.
var elsewhere = []string{inject.InjectedLabel, rbac.EnabledLabel}

// misplaced reports annotations and labels that have no effect in their place.
func (c *checker) misplaced(e document.Element) {
	if kind := e.Object.Object.GroupVersionKind(); kind.Group == "" && kind.Kind == "Namespace" {
		c.namespace(e)
		return
	}
	for _, w := range misplacedIn(e) {
		list := "annotations"
		if w.key == inject.EssentialLabel {
			list = "labels"
		}
		f := Finding{
			Level: Error, Code: messages.Misplaced, Path: w.at(), Remedy: "Remove it",
			Sentence: fmt.Sprintf("%s has no effect here, because koordinator reads it in the %s of a pod or pod template", w.key, list),
		}
		switch kind := e.Object.Object.GroupVersionKind(); {
		case len(e.Pods) > 0:
			f.Remedy = "Move it to " + metadataOf(e.Pods[0].Place) + "." + list
		case kind.Group == copier:
			continue
		case foreign(kind.Group):
			f.Level = Warning
			f.Sentence = fmt.Sprintf("%s has an effect only if the controller of %s copies it to the %s of a pod", w.key, kind.Kind, list)
			f.Remedy = fmt.Sprintf("Check the %s of a pod that the controller creates. To order pods that you cannot annotate, use rules", list)
		}
		c.add(e, f)
	}
}

// copier is the API group of Tekton, whose controller copies the labels and annotations of
// its objects to the pods: https://tekton.dev/docs/pipelines/labels.
const copier = "tekton.dev"

// foreign reports whether an API group is not Kubernetes' own.
func foreign(group string) bool {
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// metadataOf returns the path of a pod's metadata in its object.
func metadataOf(place string) string {
	if place == "" {
		return "metadata"
	}
	return place + ".metadata"
}

// misplacedIn returns the koordinator keys that are in a wrong map and in no right one.
func misplacedIn(e document.Element) []written {
	right, rightly := map[string]bool{}, map[string]bool{}
	for _, p := range e.Pods {
		meta := metadataOf(p.Place)
		right[meta+".annotations"], right[meta+".labels"] = true, true
		for key := range p.Pod.Annotations {
			rightly[key] = true
		}
		if p.Pod.Labels[inject.EssentialLabel] != "" {
			rightly[inject.EssentialLabel] = true
		}
	}
	var all []written
	for _, w := range keysIn(e) {
		label := strings.HasSuffix(w.path, "labels")
		switch {
		case slices.Contains(elsewhere, w.key), rightly[w.key]:
		case right[w.path] && label == (w.key == inject.EssentialLabel):
		default:
			all = append(all, w)
		}
	}
	return all
}

// keysIn returns all koordinator keys in an object. For an object without pods, it searches
// the metadata only, because other fields may be selectors that refer to the keys.
func keysIn(e document.Element) []written {
	if len(e.Pods) > 0 {
		return search(e.Object.Object.Object, "")
	}
	return search(map[string]any{"metadata": e.Object.Object.Object["metadata"]}, "")
}

// search finds koordinator keys in a value.
func search(value any, path string) []written {
	var all []written
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if strings.HasPrefix(key, inject.Prefix) || key == inject.EssentialLabel && inMetadata(path) {
				all = append(all, written{path, key})
				continue
			}
			all = append(all, search(value[key], input.Below(path, key))...)
		}
	case []any:
		for i, element := range value {
			all = append(all, search(element, input.Below(path, i))...)
		}
	}
	return all
}

// inMetadata reports whether a path leads to labels or annotations.
func inMetadata(path string) bool {
	return strings.HasSuffix(path, "metadata.labels") || strings.HasSuffix(path, "metadata.annotations")
}

// twice reports koordinator keys that occur twice in one map. The last one counts, without
// any warning.
func (c *checker) twice(e document.Element) {
	for _, p := range e.Pods {
		path := metadataOf(p.Place) + ".annotations"
		node := e.Node
		for _, step := range slices.Concat(p.Path, []any{"metadata", "annotations"}) {
			node = document.Child(node, step)
		}
		if node == nil || node.Kind != yaml.MappingNode {
			continue
		}
		seen := map[string]bool{}
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i].Value
			if seen[key] && strings.HasPrefix(key, inject.Prefix) {
				c.add(e, Finding{
					Level: Error, Code: messages.WrittenTwice, Path: path + "[" + key + "]",
					Sentence: "the annotation is written twice, and only the last value has an effect", Remedy: "Merge the two values, and remove one",
				})
			}
			seen[key] = true
		}
	}
}

// misspelt reports annotations of pods that look like koordinator's but have another prefix.
func (c *checker) misspelt(e document.Element) {
	for _, p := range e.Pods {
		for _, key := range slices.Sorted(maps.Keys(p.Pod.Annotations)) {
			name, looks := meant(key)
			if !looks {
				continue
			}
			c.add(e, Finding{
				Level: Warning, Code: messages.MisspeltPrefix, Path: metadataOf(p.Place) + ".annotations[" + key + "]",
				Sentence: fmt.Sprintf("the annotation has no effect, because its name does not begin with %q", inject.Prefix), Remedy: fmt.Sprintf("Did you mean %q?", inject.Prefix+name),
			})
		}
	}
}

// meant returns the annotation, without its prefix, that a key with a wrong prefix stands
// for. looks is false if the key belongs to another project.
func meant(key string) (name string, looks bool) {
	if strings.HasPrefix(key, inject.Prefix) {
		return "", false
	}
	domain, name, divided := strings.Cut(key, "/")
	own := strings.TrimSuffix(inject.Prefix, "/")
	first, _, _ := strings.Cut(own, ".")
	if !divided {
		for _, prefix := range []string{own, first, ""} {
			rest := strings.TrimLeft(strings.TrimPrefix(key, prefix), ".-_")
			if slices.Contains(annotations.Names(), rest) && strings.Contains(rest, "-") {
				return rest, true
			}
		}
		return "", false
	}
	domain = strings.ToLower(domain)
	near := spec.Distance(domain, own) <= 2 || spec.Distance(domain, first) <= 2
	if host, _, _ := strings.Cut(domain, "."); spec.Distance(host, first) <= 2 {
		near = true
	}
	return name, near
}
