// Package document parses manifests and keeps their text and line numbers, for tools that
// report a place in a file, or change a part of a file and keep the rest unchanged. It
// needs no cluster.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	syaml "sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/input"
)

// Document is one YAML document of a manifest.
type Document struct {
	Source   string         // the file or URL of the manifest, "STDIN", or the kustomization's directory
	Line     int            // of its first line in the source, from 1
	Text     string         // the text, including the line that separates it from the previous document
	Node     *yaml.Node     // the root node; nil if the document is empty
	Value    map[string]any // the value of Node, with integers as int64; nil if the document is empty
	Template string         // the file in the chart that Helm names in a comment, without the chart's name; "" for none
}

// Split divides a text into its documents. Joined again, they are equal to the text.
func Split(text string) []string {
	var all []string
	from, at := 0, 0
	for line := range strings.Lines(text) {
		if at > from && separates(line) {
			all = append(all, text[from:at])
			from = at
		}
		at += len(line)
	}
	return append(all, text[from:])
}

// separates reports whether a line begins a document.
func separates(line string) bool {
	rest, found := strings.CutPrefix(line, "---")
	return found && (rest == "" || strings.ContainsAny(rest[:1], " \t\r\n"))
}

// Parse parses the documents of a source. The error lists every document that cannot be
// parsed; all omits these.
func Parse(source, text string) (all []Document, problems []error) {
	line := 1
	for _, part := range Split(text) {
		d, err := parse(source, part, line)
		if err != nil {
			problems = append(problems, fmt.Errorf("read %s, document at line %d: %w", source, line, err))
		} else {
			all = append(all, d)
		}
		line += strings.Count(part, "\n")
	}
	return all, problems
}

// parse parses one document.
func parse(source, text string, line int) (Document, error) {
	d := Document{Source: source, Line: line, Text: text, Template: chartFile(text)}
	var root yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(text))
	if err := dec.Decode(&root); err != nil && !errors.Is(err, io.EOF) {
		return d, err
	}
	if err := dec.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return d, errors.New(`it has more than one object. Separate them with lines "---"`)
	}
	if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return d, nil
	}
	value, err := Decode(text)
	if err != nil {
		return d, err
	}
	d.Node, d.Value = root.Content[0], value
	return d, nil
}

// Decode decodes the object of a document in the same way as Kubernetes' clients.
func Decode(text string) (map[string]any, error) {
	raw, err := syaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	var value map[string]any
	if err := utiljson.Unmarshal(raw, &value); err != nil || value == nil {
		return nil, fmt.Errorf("the document is no object: it begins with %.20q", bytes.TrimSpace(raw))
	}
	return value, nil
}

// chartFile returns the file of a chart that helm template names in the comment "# Source:
// CHART/FILE", or "" without such a comment.
func chartFile(text string) string {
	for line := range strings.Lines(text) {
		name, found := strings.CutPrefix(line, "# Source: ")
		if found {
			_, file, _ := strings.Cut(strings.TrimSpace(name), "/")
			return file
		}
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !separates(line) {
			break
		}
	}
	return ""
}

// Element is one object of a document: the document itself, or an item of a List.
type Element struct {
	input.Object

	Document *Document
	Path     []any      // path of the object in the document: fields (string) and indexes (int); empty for the document itself
	Node     *yaml.Node // node of the object; nil if an alias hides it
}

// Elements returns the objects of a document, with their pods. templates has the meaning of
// input.Options.Templates.
func (d *Document) Elements(templates []string) ([]Element, error) {
	if d.Value == nil {
		return nil, nil
	}
	return d.elements(d.Value, d.Node, nil, templates)
}

func (d *Document) elements(value map[string]any, node *yaml.Node, path []any, templates []string) ([]Element, error) {
	u := &unstructured.Unstructured{Object: value}
	if u.GetKind() == "" {
		return nil, fmt.Errorf("read %s, line %d: the object has no kind", d.Source, d.line(node))
	}
	items, isList := value["items"].([]any)
	if !isList || !strings.HasSuffix(u.GetKind(), "List") {
		o, err := input.Describe(d.Source, u, templates)
		if err != nil {
			return nil, err
		}
		return []Element{{o, d, path, node}}, nil
	}
	var all []Element
	for i, item := range items {
		fields, isObject := item.(map[string]any)
		if !isObject {
			return all, fmt.Errorf("read %s, line %d: items[%d] is no object", d.Source, d.line(node), i)
		}
		below := append(append([]any{}, path...), "items", i)
		more, err := d.elements(fields, Child(Child(node, "items"), i), below, templates)
		all = append(all, more...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// line returns the line of a node in the source.
func (d *Document) line(node *yaml.Node) int {
	if node == nil {
		return d.Line
	}
	return d.Line + node.Line - 1
}
