package inject

import "strings"

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
