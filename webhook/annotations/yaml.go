package annotations

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/webhook/messages"
)

// mistake is a problem of an annotation's text, without its place.
type mistake struct {
	code                    messages.Code
	value, sentence, remedy string
}

// Error implements error.
func (m *mistake) Error() string { return m.sentence }

// add notes a problem of an annotation's text.
func (p *parser) add(at messages.Place, err error) {
	m, known := errors.AsType[*mistake](err)
	if !known {
		panic("a mistake without a code: " + err.Error()) // cannot happen: every error of this package has one
	}
	p.notes.Refuse(at, m.code, m.value, m.sentence, m.remedy)
}

// parseYAML reads exactly one YAML document. It keeps the document as nodes, so
// that no scalar is converted to a boolean or a number.
func parseYAML(text string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isEmpty(doc.Content[0]) {
		return nil, &mistake{messages.Empty, "", "the annotation is empty", "Set a value, or remove the annotation"}
	}
	if err != nil {
		return nil, &mistake{messages.NotYAML, excerpt(text), "the value is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: "), remedyOf(text)}
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &mistake{messages.SeveralDocuments, "", "the value has more than one YAML document", "Keep one"}
	}
	return doc.Content[0], nil
}

// remedyOf returns the remedy for a text that is not YAML. It names the syntax
// error that the notation of dependencies makes likely.
func remedyOf(text string) string {
	if strings.Contains(text, "?") && strings.ContainsAny(text, "[{") {
		return `Quote "name?" between [ ] and { }`
	}
	return "Correct the syntax"
}

// isEmpty reports whether a value is missing.
func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag == "!!null"
}

// entry is one key of a YAML map.
type entry struct {
	key   string
	value *yaml.Node
}

// entries returns a map's entries in their order in the text.
func entries(n *yaml.Node) ([]entry, error) {
	all := make([]entry, 0, len(n.Content)/2)
	var seen map[string]bool // only needed for a map with several keys
	if len(n.Content) > 2 {
		seen = map[string]bool{}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, &mistake{messages.WrongForm, "", fmt.Sprintf("the key in line %d is not a name", key.Line), "Write a name as the key"}
		case seen[key.Value]:
			return nil, &mistake{messages.DuplicateKey, key.Value, fmt.Sprintf("the key %q is set twice", key.Value), "Keep one"}
		case seen != nil:
			seen[key.Value] = true
		}
		all = append(all, entry{key.Value, value})
	}
	return all, nil
}

// toJSON encodes a node as JSON. Every scalar becomes a string, exactly as
// written.
func toJSON(n *yaml.Node) (json.RawMessage, error) { return appendJSON(nil, n) }

// appendJSON appends a node as JSON.
func appendJSON(b []byte, n *yaml.Node) ([]byte, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if isEmpty(n) {
			return nil, &mistake{messages.Empty, "", "the value is empty", "Set a value, or remove the key"}
		}
		return appendString(b, n.Value), nil
	case yaml.SequenceNode:
		return appendList(b, n)
	case yaml.MappingNode:
		return appendObject(b, n)
	default:
		return nil, &mistake{messages.YAMLAlias, "", "koordinator does not read YAML anchors and aliases", "Write the value out"}
	}
}

func appendList(b []byte, n *yaml.Node) (_ []byte, err error) {
	b = append(b, '[')
	for i, item := range n.Content {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendJSON(b, item); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendObject(b []byte, n *yaml.Node) ([]byte, error) {
	all, err := entries(n)
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	for i, e := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, e.key), ':')
		if b, err = appendJSON(b, e.value); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendString appends a string as JSON.
func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("encode a string: " + err.Error()) // cannot happen
	}
	return append(b, text...)
}
