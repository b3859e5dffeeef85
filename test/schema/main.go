// Schema copies the comments of the chart's values.yaml into the descriptions of
// its values.schema.json, so that editors show them.
//
//	go run ./test/schema charts/koordinator
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: schema CHART")
		os.Exit(2)
	}
	if err := describeChart(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

// describeChart rewrites the schema of the chart in a directory.
func describeChart(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	file := filepath.Join(chart, "values.schema.json")
	schema, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	described, err := describe(values, schema)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, described, 0o644)
}

// describe returns the schema with a description of every property in values. It keeps the
// order of the keys.
func describe(values, schema []byte) ([]byte, error) {
	var tree, root yaml.Node
	if err := yaml.Unmarshal(values, &tree); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(schema, &root); err != nil { // every JSON document is YAML
		return nil, err
	}
	if err := properties("", root.Content[0], tree.Content[0]); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := write(&out, root.Content[0], ""); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// properties adds descriptions to the properties of an object's schema, from the comments
// of the object. place is the object's path, with a dot at the end.
func properties(place string, schema, object *yaml.Node) error {
	below := child(schema, "properties")
	if below == nil {
		return nil
	}
	for i := 0; i+1 < len(object.Content); i += 2 {
		key, value := object.Content[i], object.Content[i+1]
		property := child(below, key.Value)
		if property == nil {
			return fmt.Errorf("values.yaml has %s%s, the schema does not", place, key.Value)
		}
		if text := sentence(key.HeadComment); text != "" {
			set(property, text)
		}
		if value.Kind == yaml.MappingNode {
			if err := properties(place+key.Value+".", property, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// sentence returns the last paragraph of a comment in one line, without the mark by which
// helm-docs recognizes a description.
func sentence(comment string) string {
	paragraphs := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.Lines(paragraphs[len(paragraphs)-1]) {
		words = append(words, strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "#"))...)
	}
	return strings.TrimPrefix(strings.Join(words, " "), "-- ")
}

// child returns the value of an object's key, nil if it is missing.
func child(object *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(object.Content); i += 2 {
		if object.Content[i].Value == key {
			return object.Content[i+1]
		}
	}
	return nil
}

// set sets the description of a schema to a text, as its first key.
func set(schema *yaml.Node, text string) {
	const key = "description"
	if have := child(schema, key); have != nil {
		have.Value = text
		return
	}
	schema.Content = append([]*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: key},
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: text},
	}, schema.Content...)
}

// write writes a node as indented JSON.
func write(out *bytes.Buffer, n *yaml.Node, indent string) error {
	switch n.Kind {
	case yaml.MappingNode:
		return list(out, n.Content, 2, "{}", indent, func(pair []*yaml.Node, indent string) error {
			if err := scalar(out, pair[0].Value); err != nil {
				return err
			}
			out.WriteString(": ")
			return write(out, pair[1], indent)
		})
	case yaml.SequenceNode:
		return list(out, n.Content, 1, "[]", indent, func(item []*yaml.Node, indent string) error {
			return write(out, item[0], indent)
		})
	default:
		var value any
		if err := n.Decode(&value); err != nil {
			return err
		}
		return scalar(out, value)
	}
}

// list writes nodes between brackets, each group of size nodes on its own line.
func list(out *bytes.Buffer, nodes []*yaml.Node, size int, brackets, indent string, one func([]*yaml.Node, string) error) error {
	if len(nodes) == 0 {
		out.WriteString(brackets)
		return nil
	}
	out.WriteByte(brackets[0])
	for i := 0; i < len(nodes); i += size {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n" + indent + "  ")
		if err := one(nodes[i:i+size], indent+"  "); err != nil {
			return err
		}
	}
	out.WriteString("\n" + indent)
	out.WriteByte(brackets[1])
	return nil
}

// scalar writes a JSON value in readable form.
func scalar(out *bytes.Buffer, value any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // remove the line's end
	return nil
}
