package filter

import (
	"errors"
	"strings"
)

// Undo returns a text as it was before Inject, comments included. changed is false for a
// text that Inject has not changed. It returns an error if the comments that Inject added
// are incomplete.
func Undo(text string) (before string, changed bool, err error) {
	var b strings.Builder
	inside, open := false, false
	for line := range strings.Lines(text) {
		rest := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(rest, begins):
			if inside {
				return "", true, errIncomplete
			}
			inside, changed = true, true
		case rest == ends:
			if !inside {
				return "", true, errIncomplete
			}
			inside = false
		case inside && strings.HasPrefix(line, was):
			b.WriteString(strings.TrimPrefix(line, was))
		case inside && rest == wasOpen:
			open = true
		case !inside:
			b.WriteString(line)
		}
	}
	if inside {
		return "", true, errIncomplete
	}
	before = b.String()
	if open {
		before = strings.TrimSuffix(before, "\n")
	}
	return before, changed, nil
}

// errIncomplete is the error for a text that cannot be restored.
var errIncomplete = errors.New("the comments that koordinator left around its changes are not complete, so the original cannot be restored. Take it from your version control")

// Plain returns a text that Inject has changed, without the comments around the changes.
// Undo cannot restore such a text.
func Plain(text string) string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(text) {
		rest := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(rest, begins):
			inside = true
		case rest == ends:
			inside = false
		case inside && (strings.HasPrefix(line, was) || rest == wasOpen):
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}
