package annotations

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads exactly one YAML document. It is kept as nodes, so that no
// scalar is taken for a boolean or a number.
func parseYAML(text string) (*yaml.Node, error) {
	if node, ok := plainYAML(text); ok {
		return node, nil
	}
	return parseAnyYAML(text)
}

// parseAnyYAML is parseYAML for whatever text.
func parseAnyYAML(text string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && isEmpty(doc.Content[0]) {
		return nil, errors.New("empty: give a value or remove the annotation")
	}
	if err != nil {
		return nil, fmt.Errorf("not YAML: %s%s", strings.TrimPrefix(err.Error(), "yaml: "), hint(text))
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: keep one")
	}
	return doc.Content[0], nil
}

// hint explains the one syntax error that our own notation invites.
func hint(text string) string {
	if strings.Contains(text, "?") && strings.ContainsAny(text, "[{") {
		return ` (between [ ] and { } a "name?" needs quotes)`
	}
	return ""
}

// isEmpty reports whether nothing was written where a value was due.
func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag == "!!null"
}

// entry is one key of a YAML map.
type entry struct {
	key   string
	value *yaml.Node
}

// entries lists a map's keys in the order written.
func entries(n *yaml.Node) ([]entry, error) {
	var all []entry
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("line %d: want a name as key", key.Line)
		case seen[key.Value]:
			return nil, fmt.Errorf("%q is given twice: keep one", key.Value)
		}
		seen[key.Value] = true
		all = append(all, entry{key.Value, value})
	}
	return all, nil
}

// toJSON writes a node as JSON, every scalar as a string just as written.
func toJSON(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if isEmpty(n) {
			return "", errors.New("empty: give a value or remove the key")
		}
		return quote(n.Value), nil
	case yaml.SequenceNode:
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			text, err := toJSON(item)
			if err != nil {
				return "", fmt.Errorf("[%d]: %w", i, err)
			}
			items[i] = text
		}
		return "[" + strings.Join(items, ",") + "]", nil
	case yaml.MappingNode:
		all, err := entries(n)
		if err != nil {
			return "", err
		}
		members := make([]string, len(all))
		for i, e := range all {
			text, err := toJSON(e.value)
			if err != nil {
				return "", fmt.Errorf("%s: %w", e.key, err)
			}
			members[i] = quote(e.key) + ":" + text
		}
		return "{" + strings.Join(members, ",") + "}", nil
	default:
		return "", errors.New("YAML anchors and aliases are not read here: write the value out")
	}
}

// quote writes a string as JSON.
func quote(s string) string {
	if isPlain(s) { // nearly always
		return `"` + s + `"`
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic("encode a string: " + err.Error()) // cannot happen
	}
	return string(text)
}
