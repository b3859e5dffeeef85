package messages

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Place is a part of a pod in which there may be a problem. A Place is created
// for each setting of each pod, but only the Place of a problem is converted to a
// path.
type Place struct {
	Container string // name of the container, "" for none

	root  root
	key   string // name of the annotation, label or volume, or path of the field
	index int    // of the container in its list
	field string // below the root, with dots between its names
	item  string // key of an element of the list in field
}

// root is the kind of the part of a pod at which a place begins.
type root byte

const (
	noRoot root = iota
	annotation
	label
	volume
	podField
	initContainer
	regularContainer
)

// Annotation returns the place of an annotation.
func Annotation(key string) Place { return Place{root: annotation, key: key} }

// Label returns the place of a label.
func Label(key string) Place { return Place{root: label, key: key} }

// Volume returns the place of the volume of that name.
func Volume(name string) Place { return Place{root: volume, key: name} }

// Pod returns the place of a field of the pod. path has dots between its names.
func Pod(path string) Place { return Place{root: podField, key: path} }

// InitContainer returns the place of an init container.
func InitContainer(index int, name string) Place {
	return Place{Container: name, root: initContainer, index: index}
}

// Container returns the place of a regular container.
func Container(index int, name string) Place {
	return Place{Container: name, root: regularContainer, index: index}
}

// Of returns the place of a container's value in an annotation.
func (p Place) Of(container string) Place {
	p.Container = container
	return p
}

// Field returns the place of a field below p. path has dots between its names.
func (p Place) Field(path string) Place {
	p.field = path
	return p
}

// Item returns the place of the element with that key in the list that the field
// of p names.
func (p Place) Item(key string) Place {
	p.item = key
	return p
}

// None reports whether p is no place.
func (p Place) None() bool { return p.root == noRoot }

// Name returns the annotation or label, for messages about another place.
func (p Place) Name() string {
	if p.root == label {
		return "label " + p.key
	}
	return p.key
}

// Compare orders places by annotation, container and field.
func (p Place) Compare(o Place) int {
	return cmp.Or(strings.Compare(p.key, o.key), strings.Compare(p.Container, o.Container), strings.Compare(p.field, o.field))
}

// longestKey bounds, in bytes, the names in a path. It is necessary because the
// API server validates names only after the webhook has answered.
const longestKey = 100

// Path returns the path of the place below the path of the pod, which is nil for
// a pod that is not in a template.
func (p Place) Path(pod *field.Path) *field.Path {
	var path *field.Path
	switch p.root {
	case annotation:
		path = pod.Child("metadata", "annotations").Key(cut(p.key, longestKey))
		if p.Container != "" {
			path = path.Key(cut(p.Container, longestKey))
		}
	case label:
		path = pod.Child("metadata", "labels").Key(cut(p.key, longestKey))
	case volume:
		path = pod.Child("spec", "volumes").Key(cut(p.key, longestKey))
	case initContainer:
		path = p.element(pod.Child("spec", "initContainers"))
	case regularContainer:
		path = p.element(pod.Child("spec", "containers"))
	default:
		path = children(pod, p.key)
	}
	if p.field != "" {
		path = children(path, p.field)
	}
	if p.item != "" {
		path = path.Key(cut(p.item, longestKey))
	}
	return path
}

// element returns the path of a container in its list, by its name if it has one.
func (p Place) element(list *field.Path) *field.Path {
	if p.Container == "" {
		return list.Index(p.index)
	}
	return list.Key(cut(p.Container, longestKey))
}

// children returns the path of a field below another one.
func children(above *field.Path, dotted string) *field.Path {
	names := strings.Split(dotted, ".")
	return above.Child(names[0], names[1:]...)
}

// cut returns a text shortened to at most that many bytes, followed by "…" if it
// was longer.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
