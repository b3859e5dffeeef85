package envfile

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Variable is one assignment of a file.
type Variable struct{ Name, Value string }

// lineError describes a malformed line. It never quotes the line, because the
// line may be part of a secret.
type lineError struct {
	line int
	text string
}

// Error names the line and the rule.
func (e lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.text) }

// Parse reads the assignments of a file in order. It follows the rules of a
// POSIX shell, except that nothing is expanded: $ and ` stand for themselves.
// Names in reserved are rejected. The error describes the first malformed line
// without quoting it.
func Parse(content []byte, reserved []string) ([]Variable, error) {
	p := parser{rest: bytes.TrimPrefix(content, []byte("\ufeff")), line: 1}
	if at := bytes.IndexByte(p.rest, 0); at >= 0 {
		return nil, lineError{1 + bytes.Count(p.rest[:at], []byte("\n")), "a NUL byte: an environment variable cannot contain one"}
	}
	var all []Variable
	for p.nextAssignment() {
		v, err := p.assignment(reserved)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// parser is the unread rest of a file.
type parser struct {
	rest []byte
	line int // of its first byte
}

// take consumes n bytes.
func (p *parser) take(n int) []byte {
	taken := p.rest[:n]
	p.line += bytes.Count(taken, []byte("\n"))
	p.rest = p.rest[n:]
	return taken
}

// lineEnd returns the length of the line end at the beginning of the rest, or 0
// if there is none.
func (p *parser) lineEnd() int {
	switch {
	case bytes.HasPrefix(p.rest, []byte("\n")), string(p.rest) == "\r": // the last line may lack its LF
		return 1
	case bytes.HasPrefix(p.rest, []byte("\r\n")):
		return 2
	default:
		return 0
	}
}

func (p *parser) skipBlanks() {
	p.take(len(p.rest) - len(bytes.TrimLeft(p.rest, " \t")))
}

// skipLine consumes the rest of a line, but not its end.
func (p *parser) skipLine() {
	at := bytes.IndexByte(p.rest, '\n')
	if at < 0 {
		at = len(p.rest)
	}
	p.take(at)
}

// nextAssignment consumes blank lines and comments, and reports whether
// anything follows.
func (p *parser) nextAssignment() bool {
	for {
		p.skipBlanks()
		switch n := p.lineEnd(); {
		case n > 0:
			p.take(n)
		case len(p.rest) == 0:
			return false
		case p.rest[0] == '#':
			p.skipLine()
		default:
			return true
		}
	}
}

// assignment consumes NAME=VALUE, with or without "export", and the rest of its
// line.
func (p *parser) assignment(reserved []string) (Variable, error) {
	line := p.line
	p.skipExport()
	at := bytes.IndexAny(p.rest, "=\n")
	if at < 0 || p.rest[at] != '=' {
		return Variable{}, lineError{line, `no assignment: write NAME=VALUE, and put a value of several lines into quotes`}
	}
	name := string(p.take(at))
	if !isVariable(name) {
		return Variable{}, lineError{line, `no variable's name before the =: a name has letters, digits, "_", "-" and "." only, does not begin with a digit, and has no blank after it`}
	}
	if slices.Contains(reserved, name) {
		return Variable{}, lineError{line, name + " belongs to koordinator: remove it"}
	}
	p.take(1)
	value, err := p.value()
	return Variable{name, value}, err
}

// skipExport consumes the word "export" and the blanks after it, if present.
func (p *parser) skipExport() {
	if after, found := bytes.CutPrefix(p.rest, []byte("export")); found && len(after) > 0 && (after[0] == ' ' || after[0] == '\t') {
		p.take(len("export"))
		p.skipBlanks()
	}
}

// value consumes a shell word, and the rest of its line.
func (p *parser) value() (string, error) {
	var word strings.Builder
	for len(p.rest) > 0 && p.lineEnd() == 0 {
		switch c := p.rest[0]; c {
		case ' ', '\t':
			return word.String(), p.endLine()
		case '\'', '"':
			if err := p.quoted(c, &word); err != nil {
				return "", err
			}
		case '\\':
			p.escaped(&word)
		default:
			word.WriteByte(p.take(1)[0])
		}
	}
	return word.String(), nil
}

// escaped consumes a backslash outside quotes and the character that it
// escapes: a line end disappears, and any other byte stands for itself.
func (p *parser) escaped(word *strings.Builder) {
	p.take(1)
	if n := p.lineEnd(); n > 0 {
		p.take(n)
	} else if len(p.rest) > 0 {
		word.WriteByte(p.take(1)[0])
	}
}

// quoted consumes a quoted part of a value. In single quotes every byte stands
// for itself. In double quotes a backslash escapes $, `, " and \, makes a line
// end disappear, and stands for itself before any other byte.
func (p *parser) quoted(quote byte, word *strings.Builder) error {
	line := p.line
	p.take(1)
	for len(p.rest) > 0 {
		switch c := p.rest[0]; {
		case c == quote:
			p.take(1)
			return nil
		case c == '\\' && quote == '"' && p.escapable():
			p.escaped(word)
		default:
			word.WriteByte(p.take(1)[0])
		}
	}
	return lineError{line, fmt.Sprintf("the quote %c is not closed: close it, or put the value into the other kind of quotes", quote)}
}

// escapable reports whether a backslash in double quotes, with which the rest
// begins, escapes what follows.
func (p *parser) escapable() bool {
	after := parser{rest: p.rest[1:]}
	return after.lineEnd() > 0 || len(after.rest) > 0 && bytes.IndexByte([]byte("$`\"\\"), after.rest[0]) >= 0
}

// endLine consumes blanks and a comment after a value. A shell would run
// anything else as a command.
func (p *parser) endLine() error {
	p.skipBlanks()
	switch {
	case len(p.rest) == 0, p.lineEnd() > 0:
	case p.rest[0] == '#':
		p.skipLine()
	default:
		return lineError{p.line, "the value ends at a blank, and more follows: put a value with blanks into quotes"}
	}
	return nil
}

// isVariable reports whether Kubernetes accepts a name for a variable in a
// container's env.
func isVariable(name string) bool {
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}
