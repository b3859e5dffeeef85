package inject

import (
	"slices"
	"strings"
)

// Problem is one mistake: where it was made, and what is wrong with which
// value and how to mend it.
type Problem struct {
	Place, Text string
}

// String is the problem as users read it.
func (p Problem) String() string { return p.Place + ": " + p.Text }

// Shorten is a message without its end if a user's value makes it longer than
// anybody reads: of more than 1,000 bytes, the first 1,000 remain.
func Shorten(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// Notes are the problems and warnings that a pod gives rise to, each once, in the
// order in which they were found.
type Notes struct {
	Problems []Problem // for which the pod is refused
	Warnings []string  // for whoever creates the pod
}

// mostNoted bounds the problems of one pod that are noted, and its warnings:
// more than anybody reads, and what can be made of a few annotations is millions.
const mostNoted = 100

// full reports whether no further problem is noted.
func (n *Notes) full() bool { return len(n.Problems) >= mostNoted }

// refuse notes a problem.
func (n *Notes) refuse(place, text string) {
	p := Problem{place, text}
	if !n.full() && !slices.Contains(n.Problems, p) {
		n.Problems = append(n.Problems, p)
	}
}

// fullOfWarnings reports whether no further warning is noted.
func (n *Notes) fullOfWarnings() bool { return len(n.Warnings) >= mostNoted }

// warn notes a warning.
func (n *Notes) warn(place, text string) {
	if n.fullOfWarnings() {
		return
	}
	if w := (Problem{place, text}).String(); !slices.Contains(n.Warnings, w) {
		n.Warnings = append(n.Warnings, w)
	}
}
