package filter

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// nodeOf returns a JSON value as YAML in which no scalar spans several lines. The name of
// an object is its first field.
func nodeOf(value any) *yaml.Node {
	switch value := value.(type) {
	case map[string]any:
		node := &yaml.Node{Kind: yaml.MappingNode}
		if len(value) == 0 {
			node.Style = yaml.FlowStyle
		}
		for _, key := range slices.SortedFunc(maps.Keys(value), nameFirst) {
			node.Content = append(node.Content, textNode(key), nodeOf(value[key]))
		}
		return node
	case []any:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		if !slices.ContainsFunc(value, isNested) {
			node.Style = yaml.FlowStyle
		}
		for _, element := range value {
			node.Content = append(node.Content, nodeOf(element))
		}
		return node
	case string:
		return textNode(value)
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	default: // a number, true or false
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(value)}
	}
}

// isNested reports whether a value is an object or a list.
func isNested(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return true
	}
	return false
}

// nameFirst orders fields in the customary order: apiVersion, kind, name and metadata first.
func nameFirst(a, b string) int {
	rank := func(key string) int { return slices.Index([]string{"metadata", "name", "kind", "apiVersion"}, key) }
	return cmp.Or(-cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
}

// plain matches texts that every version of YAML reads as strings.
var plain = regexp.MustCompile(`^[a-zA-Z/][\w/.-]*[/.-][\w/.-]*$|^[a-zA-Z]\w{5,}$`)

// textNode returns a scalar for a text. It is quoted unless every version of YAML reads it
// without quotes as a string.
func textNode(text string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	printable := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	switch {
	case plain.MatchString(text):
	case strings.Contains(text, `"`) && printable:
		node.Style = yaml.SingleQuotedStyle
	case len(text) > 1 && regexp.MustCompile(`^[a-z]+([A-Z]\w*)?$`).MatchString(text) && !slices.Contains(words, text):
	default:
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

// words lists lower-case texts that some version of YAML does not read as strings.
var words = []string{"yes", "no", "on", "off", "true", "false", "null", "inf", "nan"}
