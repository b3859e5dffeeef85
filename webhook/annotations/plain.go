package annotations

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// plainYAML reads the YAML that nearly all annotations are: a line "name: value"
// for each container, or one value, of letters that mean nothing else to YAML.
// It makes the nodes of it that parseYAML would, whose parser costs more than all else
// that is done for a pod. Of any other text it is not ok.
func plainYAML(text string) (node *yaml.Node, ok bool) {
	const longestKey = 128 // of YAML's 1024
	text = strings.TrimSuffix(text, "\n")
	if isPlain(text) {
		return scalarNode(text, 1), true
	}
	node = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	line := 0
	for pair := range strings.SplitSeq(text, "\n") {
		line++
		key, value, found := strings.Cut(pair, ": ")
		if !found || len(key) > longestKey || !isPlain(key) || !isPlain(value) {
			return nil, false
		}
		node.Content = append(node.Content, scalarNode(key, line), scalarNode(value, line))
	}
	return node, true
}

// scalarNode is a scalar as written. It is a string whatever it looks like, as
// every scalar is taken for one.
func scalarNode(value string, line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value, Line: line}
}

// isPlain reports whether YAML would take a text, wherever it stands in a line,
// for a scalar that is just that text.
func isPlain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i == 0 || strings.IndexByte("-_.,=?/+ ", c) < 0:
			return false
		}
	}
	return text != "" && text[len(text)-1] != ' '
}
