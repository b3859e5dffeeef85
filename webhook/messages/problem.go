// Package messages defines the form of everything that the webhook reports about
// a pod, and the table of its codes, from which docs/reference/messages.md is
// generated.
package messages

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/wrapper/spec"
)

// Code identifies one kind of problem. The meaning of a code never changes, and
// no two kinds have the same code.
type Code = spec.Code

// Problem is something that is wrong with a pod, or that may surprise its author.
type Problem struct {
	Code      Code
	Warning   bool        // whether the pod is accepted nevertheless
	Path      *field.Path // of the part of the object with the problem
	Container string      // the container with the problem, "" for none or several
	Value     string      // the invalid value, "" if there is none
	Sentence  string      // what is wrong, without the place; no initial capital and no full stop
	Remedy    string      // what to do about it, as an imperative without a full stop; "" if there is nothing to do
}

// String returns the problem in the form for users: PLACE: SENTENCE. REMEDY
// [CODE].
func (p Problem) String() string { return p.Path.String() + ": " + p.Text() }

// Text returns the problem without its place. If a user's value makes the text
// too long to read, the text is shortened, but the code stays.
func (p Problem) Text() string {
	text := p.Sentence
	if p.Remedy != "" {
		text += ". " + p.Remedy
	}
	return fmt.Sprintf("%s [%s]", Shorten(text), p.Code)
}

// Error returns the problem in the form of the API server's own validation.
func (p Problem) Error() *field.Error {
	return field.Invalid(p.Path, p.Value, p.Text())
}

// Shorten returns a message limited to 1,000 bytes, because a user's value can
// make it too long to read.
func Shorten(text string) string { return cut(text, 1000) }

// Nearest returns the known name that a misspelled name probably stands for, or
// "" if none is similar.
func Nearest(name string, known []string) string {
	best, least := "", min(max(2, len(name)/3), len(name)/2)+1
	for _, k := range known {
		if d := spec.Distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// Strings returns the problems in the form for users.
func Strings(problems []Problem) []string {
	if len(problems) == 0 {
		return nil
	}
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.String()
	}
	return texts
}

// Notes collect the problems of one pod, each one once, in the order in which
// they are found.
type Notes struct {
	Root     *field.Path // the path of the pod: nil, or that of a template in a workload
	Problems []Problem   // for which the pod is rejected
	Warnings []Problem   // with which it is accepted
}

// most bounds the number of problems that are noted for one pod, and the number
// of warnings. More than that is too much to read, and a few annotations can
// cause millions.
const most = 100

// Full reports whether no further problem is noted.
func (n *Notes) Full() bool { return len(n.Problems) >= most }

// FullOfWarnings reports whether no further warning is noted.
func (n *Notes) FullOfWarnings() bool { return len(n.Warnings) >= most }

// Refuse notes a problem for which the pod is rejected.
func (n *Notes) Refuse(at Place, code Code, value, sentence, remedy string) {
	n.Problems = n.with(n.Problems, at, Problem{Code: code, Value: value, Sentence: sentence, Remedy: remedy})
}

// Warn notes a problem with which the pod is accepted.
func (n *Notes) Warn(at Place, code Code, value, sentence, remedy string) {
	n.Warnings = n.with(n.Warnings, at, Problem{Code: code, Warning: true, Value: value, Sentence: sentence, Remedy: remedy})
}

// with returns a list with one more problem, if there is room and the problem is
// not in the list yet.
func (n *Notes) with(list []Problem, at Place, p Problem) []Problem {
	if len(list) >= most {
		return list
	}
	p.Path, p.Container = at.Path(n.Root), at.Container
	same := func(o Problem) bool {
		return o.Code == p.Code && o.Sentence == p.Sentence && o.Remedy == p.Remedy && o.Path.String() == p.Path.String()
	}
	if slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, p)
}
