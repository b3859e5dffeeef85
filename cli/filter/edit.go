package filter

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"koordinator.io/koordinator/cli/document"
)

// rewrite returns a document's text with another value. Lines of fields that are equal in
// both values stay unchanged. Where lines change, comments keep the original lines.
func rewrite(d document.Document, after map[string]any) (string, error) {
	text, open := d.Text, ""
	if !strings.HasSuffix(text, "\n") {
		text, open = text+"\n", begins+"\n"+wasOpen+"\n"+ends+"\n"
	}
	s := &splicer{lines: slices.Collect(strings.Lines(text))}
	if s.mapping(d.Node, d.Value, after, s.last()) {
		result := s.lines.apply(s.edits)
		value, err := document.Decode(result)
		if err == nil && reflect.DeepEqual(value, after) {
			return result + open, nil
		}
	}
	// The document has anchors, or a form that cannot be edited line by line, so it is
	// rewritten completely.
	whole, err := s.whole(d.Node, after)
	if err != nil {
		return "", err
	}
	return s.lines.apply([]edit{whole}) + open, nil
}

// splicer collects edits of a document.
type splicer struct {
	lines lines
	edits []edit
}

// last returns the last line of the document that is not blank, a comment or the end marker "...".
func (s *splicer) last() int {
	n := len(s.lines)
	for n > 1 && (idle(s.lines[n-1]) || strings.HasPrefix(s.lines[n-1], "...")) {
		n--
	}
	return n
}

// whole rewrites the whole document.
func (s *splicer) whole(node *yaml.Node, after map[string]any) (edit, error) {
	text, err := render(after, "")
	e := edit{node.Line, s.last() + 1, text}
	if strings.HasPrefix(s.lines[node.Line-1], "---") {
		e.lines = append([]string{"---"}, text...)
	}
	return e, err
}

// mapping edits a mapping whose lines end at limit. It reports whether the change can be
// made line by line.
func (s *splicer) mapping(node *yaml.Node, before, after map[string]any, limit int) bool {
	if node.Kind != yaml.MappingNode || node.Style&yaml.FlowStyle != 0 || len(node.Content) == 0 || len(after) == 0 {
		return false
	}
	end := 0
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		below := limit
		if i+2 < len(node.Content) {
			below = node.Content[i+2].Line - 1
		}
		end = s.lines.end(value, key.Line, below)
		now, stays := after[key.Value]
		was, known := before[key.Value]
		switch {
		case !known: // a merge key
			return false
		case stays && reflect.DeepEqual(was, now):
		case stays && s.within(key, value, was, now, end):
		case !s.entry(key, end, now, stays):
			return false
		}
	}
	return s.add(node, before, after, end)
}

// add adds the new entries of a mapping after its last line.
func (s *splicer) add(node *yaml.Node, before, after map[string]any, end int) bool {
	prefix := strings.Repeat(" ", node.Content[0].Column-1)
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if _, known := before[key]; known {
			continue
		}
		text, err := render(map[string]any{key: after[key]}, prefix)
		if err != nil {
			return false
		}
		s.insert(end+1, text)
	}
	return true
}

// insert adds lines before a line.
func (s *splicer) insert(at int, text []string) {
	if n := len(s.edits); n > 0 && s.edits[n-1].from == at && s.edits[n-1].to == at {
		s.edits[n-1].lines = append(s.edits[n-1].lines, text...)
		return
	}
	s.edits = append(s.edits, edit{at, at, text})
}

// within edits the value of an entry in place. It reports whether that is possible.
func (s *splicer) within(key, value *yaml.Node, was, now any, end int) bool {
	if value.Line == key.Line {
		return false
	}
	have := len(s.edits)
	done := false
	switch was := was.(type) {
	case map[string]any:
		now, same := now.(map[string]any)
		done = same && s.mapping(value, was, now, end)
	case []any:
		now, same := now.([]any)
		done = same && s.sequence(value, was, now, end)
	}
	if !done {
		s.edits = s.edits[:have]
	}
	return done
}

// entry replaces or removes a whole entry of a mapping.
func (s *splicer) entry(key *yaml.Node, end int, now any, stays bool) bool {
	prefix := s.lines.before(key.Line, key.Column)
	blank := strings.Trim(prefix, " ") == ""
	switch {
	case strings.Trim(prefix, " -") != "", !stays && !blank:
		return false
	case !stays:
		s.edits = append(s.edits, edit{key.Line, end + 1, nil})
		return true
	}
	text, err := render(map[string]any{key.Value: now}, strings.Repeat(" ", len(prefix)))
	if err != nil {
		return false
	}
	text[0] = prefix + text[0][len(prefix):]
	s.edits = append(s.edits, edit{key.Line, end + 1, text})
	return true
}

// sequence edits a list: it edits the existing elements, and inserts elements before and after them.
func (s *splicer) sequence(node *yaml.Node, before, after []any, limit int) bool {
	if node.Kind != yaml.SequenceNode || node.Style&yaml.FlowStyle != 0 || len(node.Content) != len(before) || len(before) == 0 {
		return false
	}
	first, found := align(before, after)
	if !found {
		return false
	}
	prefix, ok := s.dash(node.Content[0])
	if !ok {
		return false
	}
	if !s.elements(node.Content[0].Line, after[:first], prefix) {
		return false
	}
	end := 0
	for i, element := range node.Content {
		below := limit
		if i+1 < len(node.Content) {
			below = node.Content[i+1].Line - 1
		}
		end = s.lines.end(element, element.Line, below)
		if !s.element(element, before[i], after[first+i], prefix, end) {
			return false
		}
	}
	return s.elements(end+1, after[first+len(before):], prefix)
}

// element edits or replaces one element of a list.
func (s *splicer) element(node *yaml.Node, before, after any, prefix string, end int) bool {
	if reflect.DeepEqual(before, after) {
		return true
	}
	was, isMap := before.(map[string]any)
	now, staysMap := after.(map[string]any)
	have := len(s.edits)
	if isMap && staysMap && s.mapping(node, was, now, end) {
		return true
	}
	s.edits = s.edits[:have]
	text, err := render([]any{after}, prefix)
	s.edits = append(s.edits, edit{node.Line, end + 1, text})
	return err == nil
}

// elements inserts elements of a list before a line.
func (s *splicer) elements(at int, all []any, prefix string) bool {
	if len(all) == 0 {
		return true
	}
	text, err := render(all, prefix)
	if err != nil {
		return false
	}
	s.insert(at, text)
	return true
}

// dash returns the indentation before the dash of a list element. ok is false if anything
// but blanks precedes the dash.
func (s *splicer) dash(element *yaml.Node) (prefix string, ok bool) {
	text := s.lines.before(element.Line, element.Column)
	i := strings.LastIndexByte(text, '-')
	if i < 0 || strings.Trim(text[:i], " ") != "" {
		return "", false
	}
	return text[:i], true
}

// align finds the elements of a list in the changed list. first is the index of the first
// of them. Two elements are the same if they have the same name or, without a name, are
// equal.
func align(before, after []any) (first int, found bool) {
	for first := 0; first+len(before) <= len(after); first++ {
		same := true
		for i, was := range before {
			same = same && alike(was, after[first+i])
		}
		if same {
			return first, true
		}
	}
	return 0, false
}

// alike reports whether two elements of a list are the same element.
func alike(a, b any) bool {
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	if !isMap || !both || x["name"] == nil || x["mountPath"] != nil {
		return reflect.DeepEqual(a, b)
	}
	return x["name"] == y["name"]
}

// render writes a value as lines of YAML, each with the prefix.
func render(value any, prefix string) ([]string, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	node := nodeOf(value)
	node.Style = 0 // write each entry or element on its own line
	if err := enc.Encode(node); err != nil {
		return nil, err
	}
	all := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	for i := range all {
		all[i] = prefix + all[i]
	}
	return all, nil
}
