package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Code identifies one kind of problem. docs/reference/messages.md explains each
// code and its remedy.
type Code string

// The codes of problems with a value in a spec or an annotation.
const (
	WrongForm         Code = "KO104" // for example, a list instead of a word
	DuplicateKey      Code = "KO105"
	GivenTwice        Code = "KO106" // under two names
	UnknownField      Code = "KO107"
	InvalidValue      Code = "KO113" // any other value that cannot be read
	InvalidDependency Code = "KO114"
	UnknownCondition  Code = "KO115"
	OptionalStop      Code = "KO116" // a stop dependency with "?"
	InvalidDuration   Code = "KO117"
	NoStopTimeout     Code = "KO118"
	UnknownWord       Code = "KO119" // not one of the words that a field accepts
	InvalidSignal     Code = "KO120"
	InvalidExitCode   Code = "KO121"
	InvalidRequest    Code = "KO122"
	UnknownVersion    Code = "KO123"
	InvalidPath       Code = "KO124"
	InvalidEndpoint   Code = "KO125"
	OnItself          Code = "KO227"
	NamedTwice        Code = "KO228" // a container or endpoint in a list
	NotRestarted      Code = "KO229" // a container with restartWith that is not started again after exit code 75
	ExecImpossible    Code = "KO305" // mode exec together with a field that needs the wrapper
)

// Problem is one mistake in a spec.
type Problem struct {
	Code   Code
	Field  string // as written in the JSON; "" if the problem does not concern a single field
	Value  string // the invalid value; "" if there is none
	Text   string // what is wrong
	Remedy string // how to fix it, in the imperative; "" if the text says it
}

// String returns the problem in one line: field, text, remedy, code.
func (p Problem) String() string {
	var b strings.Builder
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Text)
	if p.Remedy != "" {
		b.WriteString(". " + p.Remedy)
	}
	if p.Code != "" {
		b.WriteString(" [" + string(p.Code) + "]")
	}
	return b.String()
}

// Problems contains all problems of one spec.
type Problems []Problem

// Error lists the problems, separated by "; ".
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, one := range p {
		texts[i] = one.String()
	}
	return strings.Join(texts, "; ")
}

// wrong returns one problem as an error.
func wrong(code Code, value, remedy, format string, args ...any) error {
	return Problems{{Code: code, Value: value, Text: fmt.Sprintf(format, args...), Remedy: remedy}}
}

// in returns the problems of an error, with the field set.
func in(field string, err error) Problems {
	all := slices.Clone(problemsOf(err))
	for i := range all {
		all[i].Field = field
	}
	return all
}

// within returns the problems of an error in a part of a value, with the part
// in front of each text.
func within(part string, err error) error {
	var all Problems
	for _, p := range problemsOf(err) {
		p.Text = part + ": " + p.Text
		all = append(all, p)
	}
	return all
}

// join returns all problems as one error, or nil if there are none.
func join(all Problems) error {
	if len(all) == 0 {
		return nil
	}
	return all
}

// problemsOf returns the problems in an error.
func problemsOf(err error) Problems {
	if all, ok := errors.AsType[Problems](err); ok {
		return all
	}
	return Problems{{Code: InvalidValue, Text: err.Error()}}
}
