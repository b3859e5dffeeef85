package document

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Child returns the value at a field (string) or an index (int) of a node, or nil if there
// is none. It follows aliases.
func Child(node *yaml.Node, step any) *yaml.Node {
	node = followed(node)
	if node == nil {
		return nil
	}
	switch step := step.(type) {
	case string:
		if _, value := Entry(node, step); value != nil {
			return value
		}
	case int:
		if node.Kind == yaml.SequenceNode && step < len(node.Content) {
			return node.Content[step]
		}
	}
	return nil
}

// followed returns the node that an alias stands for, or the node itself if it is not an alias.
func followed(node *yaml.Node) *yaml.Node {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

// Entry returns the key and the value of a field in a mapping, or nil for both if the field
// is missing. If a key occurs twice, the last one counts.
func Entry(node *yaml.Node, field string) (key, value *yaml.Node) {
	if node == nil || node.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := len(node.Content) - 2; i >= 0; i -= 2 {
		if node.Content[i].Value == field {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// Locate returns the line and column of a path in an element. The path has the API server's
// notation: spec.containers[main].command, metadata.annotations[a/b][main]. If a field is
// missing, Locate returns the place of the innermost object on the path that exists.
func (e Element) Locate(path string) (line, column int) {
	at, node := e.Node, e.Node
	for _, step := range steps(path) {
		key, value := find(followed(node), step)
		if value == nil {
			break
		}
		at, node = key, value
	}
	if at == nil {
		return e.Document.Line, 1
	}
	return e.Document.line(at), at.Column
}

// find returns the node for one step of a path: a field, an index, or the name of a list
// element. key is the node where the entry begins.
func find(node *yaml.Node, step string) (key, value *yaml.Node) {
	if node == nil {
		return nil, nil
	}
	if node.Kind != yaml.SequenceNode {
		return Entry(node, step)
	}
	for _, element := range node.Content {
		if _, name := Entry(followed(element), "name"); name != nil && name.Value == step {
			return element, element
		}
	}
	if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
		return node.Content[i], node.Content[i]
	}
	return nil, nil
}

// steps returns the parts of a path.
func steps(path string) []string {
	var all []string
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return append(all, path[1:])
			}
			all, path = append(all, path[1:end]), path[end+1:]
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			all, path = append(all, path[:end]), path[end:]
		}
	}
	return all
}
