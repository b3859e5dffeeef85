package filter

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lines holds the lines of a document, including their line ends.
type lines []string

// indent returns the number of blanks at the start of a line.
func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// idle reports whether a line has only blanks or a comment.
func idle(line string) bool {
	rest := strings.TrimSpace(line)
	return rest == "" || rest[0] == '#'
}

// before returns the part of a line before a column, which counts characters from 1.
func (l lines) before(line, column int) string {
	text := []rune(l[line-1])
	return string(text[:min(column-1, len(text))])
}

// end returns the last line of a value. key is the line of its key. limit is the last line
// that the value can have, because something else begins after it.
func (l lines) end(node *yaml.Node, key, limit int) int {
	switch {
	case node.Kind == yaml.ScalarNode && node.Value == "" && node.Style == 0: // the value is empty
		return key
	case node.Kind == yaml.ScalarNode && node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return l.endOfBlock(key, limit)
	case node.Kind == yaml.MappingNode && node.Style&yaml.FlowStyle == 0 && len(node.Content) > 0:
		last := len(node.Content) - 1
		return l.end(node.Content[last], node.Content[last-1].Line, limit)
	case node.Kind == yaml.SequenceNode && node.Style&yaml.FlowStyle == 0 && len(node.Content) > 0:
		last := node.Content[len(node.Content)-1]
		return l.end(last, last.Line, limit)
	case node.Kind == yaml.AliasNode:
		return node.Line
	case node.Kind == yaml.ScalarNode && node.Style == 0:
		end := limit
		for end > node.Line && idle(l[end-1]) {
			end--
		}
		return end
	}
	return l.endOfQuoted(node)
}

// endOfBlock returns the last line of a literal or folded scalar that begins after the line
// of its key. The scalar includes every following line with more indentation than the key.
// Empty lines at its end belong to it only if the scalar keeps them (|+ or >+).
func (l lines) endOfBlock(key, limit int) int {
	in := indent(strings.ReplaceAll(l[key-1], "- ", "  "))
	end := key
	for end < limit {
		line := l[end]
		if strings.TrimSpace(line) != "" && indent(line) <= in {
			break
		}
		end++
	}
	if keeps := strings.Contains(l[key-1], "|+") || strings.Contains(l[key-1], ">+"); keeps {
		return end
	}
	for end > key && strings.TrimSpace(l[end-1]) == "" {
		end--
	}
	return end
}

// endOfQuoted returns the last line of a quoted scalar, or of a list or map in brackets.
func (l lines) endOfQuoted(node *yaml.Node) int {
	var s scanner
	for number := node.Line; number <= len(l); number++ {
		text := l[number-1]
		if number == node.Line {
			text = strings.TrimPrefix(text, l.before(number, node.Column))
		}
		if s.read(text) {
			return number
		}
	}
	return len(l)
}

// scanner finds the end of a quoted scalar, or of a list or map in brackets.
type scanner struct {
	depth int  // depth of open brackets
	quote rune // the open quote, 0 for none
}

// read reads one line, and reports whether the value ends on it.
func (s *scanner) read(line string) (ended bool) {
	text := []rune(line)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case s.quote == '"' && c == '\\':
			i++
		case s.quote == '\'' && c == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case s.quote != 0:
			if c == s.quote {
				s.quote = 0
				ended = s.depth == 0
			}
		case c == '#' && (i == 0 || text[i-1] == ' ' || text[i-1] == '\t'):
			return ended
		case (c == '"' || c == '\'') && (s.depth == 0 || i == 0 || strings.ContainsRune(" \t[{,:", text[i-1])):
			s.quote = c
		case c == '[' || c == '{':
			s.depth++
		case c == ']' || c == '}':
			s.depth--
			ended = s.depth == 0
		}
		if ended {
			return true
		}
	}
	return false
}

// edit replaces the lines from the line from, counted from 1, up to but not including the line to.
type edit struct {
	from, to int
	lines    []string // the replacement, without line ends
}

// The comments around koordinator's changes in a text. Between them, the original lines
// come first, as comments, followed by their replacement.
const (
	begins  = "# >>> koordinator: changed by kubectl koordinator inject"
	ends    = "# <<< koordinator"
	was     = "#|"
	wasOpen = "#!the last line had no end"
)

// apply returns the text with the edits applied.
func (l lines) apply(edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var b strings.Builder
	next := 1
	for _, e := range edits {
		for ; next < e.from; next++ {
			b.WriteString(l[next-1])
		}
		in := ""
		if len(e.lines) > 0 {
			in = strings.Repeat(" ", indent(e.lines[0]))
		}
		b.WriteString(in + begins + "\n")
		for ; next < e.to; next++ {
			b.WriteString(was + l[next-1])
		}
		for _, line := range e.lines {
			b.WriteString(line + "\n")
		}
		b.WriteString(in + ends + "\n")
	}
	for ; next <= len(l); next++ {
		b.WriteString(l[next-1])
	}
	return b.String()
}
