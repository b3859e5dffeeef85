package compat

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// flat is a flat YAML mapping from keys, in lower case, to values. It does not
// contain keys without a value or with null.
type flat map[string]value

// value is a scalar.
type value struct {
	text   string
	quoted bool // the value is therefore a string
}

// keys are the keys of a tombstone, in lower case.
var keys = []string{"born", "died", "exitcode"}

// letters are the characters that keys consist of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

// parseFlat parses the part of YAML that a tombstone needs: one document with
// "key: scalar" lines and comments. It skips the values of other keys.
func parseFlat(text string) (flat, error) {
	p := flatParser{fields: flat{}, seen: map[string]bool{}}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		switch {
		case line == "" || strings.HasPrefix(strings.TrimSpace(line), "#") || n == 0 && line == "---":
			continue
		case line == "...":
			return p.end()
		}
		if err := p.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return p.end()
}

// flatParser is the state of a parse.
type flatParser struct {
	fields flat
	seen   map[string]bool // keys, in lower case
	other  bool            // the last key is not one of a tombstone's
}

func (p *flatParser) line(line string) error {
	if p.other && strings.ContainsRune(" \t-", rune(line[0])) {
		return nil
	}
	name, rest, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.Trim(name, letters) != "" {
		return fmt.Errorf("%.40q is no \"key: value\"", line)
	}
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return fmt.Errorf("no blank behind the colon of %.40s", name)
	}
	key := strings.ToLower(name)
	if p.seen[key] {
		return fmt.Errorf("%.40s is given twice", name)
	}
	p.seen[key] = true
	p.other = !slices.Contains(keys, key)
	if p.other {
		return nil
	}
	v, err := scalar(strings.TrimLeft(rest, " \t"))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !v.null() {
		p.fields[key] = v
	}
	return nil
}

// end returns the parsed fields. A text without any key is an error, because it
// is still being written.
func (p *flatParser) end() (flat, error) {
	if len(p.seen) == 0 {
		return nil, errors.New("empty")
	}
	return p.fields, nil
}

// scalar parses a plain or quoted value, and a comment after it. No value of a
// tombstone needs an escape.
func scalar(s string) (value, error) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		plain, _, _ := strings.Cut(s, " #")
		if strings.HasPrefix(plain, "#") {
			plain = ""
		}
		return value{text: strings.TrimRight(plain, " \t")}, nil
	}
	text, rest, closed := strings.Cut(s[1:], s[:1])
	rest = strings.TrimLeft(rest, " \t")
	if !closed || strings.ContainsAny(text, `\`) || rest != "" && rest[0] != '#' {
		return value{}, fmt.Errorf("%.40q is no quoted value", s)
	}
	return value{text: text, quoted: true}, nil
}

func (v value) null() bool {
	return !v.quoted && slices.Contains([]string{"", "~", "null", "Null", "NULL"}, v.text)
}
