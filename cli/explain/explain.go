// Package explain explains annotations, conditions, exit codes and messages of
// koordinator, and lists the settings of a container. It needs no cluster.
package explain

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// Entry explains one subject.
type Entry struct {
	Subject string `json:"subject"` // for example "koordinator.io/start-deps" or "exit code 69"
	Means   string `json:"means"`
	Values  string `json:"values,omitempty"`  // the possible values of an annotation
	Default string `json:"default,omitempty"` // default of an annotation
	Example string `json:"example,omitempty"`
	Mend    string `json:"mend,omitempty"` // the remedy
}

// code matches a message code.
var code = regexp.MustCompile(`\bKO\d{3}\b`)

// Find explains a text, which may be a message or its code, an annotation, an exit code or
// a condition. A text may contain several codes. For an unknown word, the error lists
// similar words.
func Find(text string) ([]Entry, error) {
	text = strings.TrimSpace(text)
	if codes := code.FindAllString(strings.ToUpper(text), -1); len(codes) > 0 {
		return coded(codes)
	}
	if number, err := strconv.Atoi(strings.TrimPrefix(text, "exit code ")); err == nil {
		return exitCode(number)
	}
	name := strings.TrimPrefix(text, inject.Prefix)
	if a, known := annotationNamed(name); known {
		return []Entry{a.entry(name)}, nil
	}
	if means, known := conditions[name]; known {
		return []Entry{{Subject: "condition " + name, Means: means}}, nil
	}
	if all := message(text); len(all) > 0 {
		return all, nil
	}
	if near := messages.Nearest(name, Words()); near != "" {
		return nil, fmt.Errorf("there is no explanation of %q, did you mean %q?", text, near)
	}
	return nil, fmt.Errorf("there is no explanation of %q. Give an annotation (start-deps), a condition (ready), an exit code (69), or a message or its code (KO201)", text)
}

// Words returns the words that Find accepts, without codes and numbers, in alphabetical order.
func Words() []string {
	all := annotations.Names()
	for name := range conditions {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// coded explains message codes.
func coded(codes []string) ([]Entry, error) {
	var all []Entry
	for i, c := range codes {
		if slices.Contains(codes[:i], c) {
			continue
		}
		e, found := messages.Explain(messages.Code(c))
		if !found {
			return nil, fmt.Errorf("there is no code %s", c)
		}
		all = append(all, Entry{Subject: c + ": " + e.Title, Means: plain(e.Means), Mend: plain(e.Mend)})
	}
	return all, nil
}

// plain returns a text from the table of messages, which is Markdown, as plain text for a terminal.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// Text returns an entry as text.
func (e Entry) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", e.Subject, indented(e.Means))
	for _, part := range []struct{ title, text string }{{"Value:", e.Values}, {"Default:", e.Default}, {"Example:", e.Example}, {"Remedy:", e.Mend}} {
		if part.text != "" {
			fmt.Fprintf(&b, "\n%s\n%s\n", part.title, indented(part.text))
		}
	}
	return b.String()
}

// Print writes the text of an entry.
func (e Entry) Print(to io.Writer) error {
	_, err := io.WriteString(to, e.Text())
	return err
}

// width is the maximum length of a line.
const width = 88

// indented returns a text with its lines indented and long lines wrapped.
func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		length := 0
		for i, word := range strings.Split(strings.TrimRight(line, "\n"), " ") {
			switch {
			case i == 0 || length+len(word) >= width:
				if b.Len() > 0 {
					b.WriteByte('\n')
				}
				b.WriteString("  " + word)
				length = len(word) + 2
			default:
				b.WriteString(" " + word)
				length += len(word) + 1
			}
		}
	}
	return b.String()
}
