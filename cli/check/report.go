package check

import (
	"fmt"
	"io"
	"strings"
)

// Level is the outcome of a check.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Warning Level = "warning"
	Error   Level = "error"
)

// Report is the outcome of a Question.
type Report struct {
	Sections []*Section `json:"sections"`
}

// Section is a group of checks with a title.
type Section struct {
	Title string `json:"title"`
	Lines []Line `json:"checks"`
}

// Line is the outcome of one check.
type Line struct {
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// section begins a section.
func (r *Report) section(title string) *Section {
	s := &Section{Title: title, Lines: []Line{}}
	r.Sections = append(r.Sections, s)
	return s
}

// Count returns the number of lines with a level.
func (r *Report) Count(level Level) int {
	n := 0
	for _, s := range r.Sections {
		n += s.count(level)
	}
	return n
}

// count returns the number of lines with a level.
func (s *Section) count(level Level) int {
	n := 0
	for _, l := range s.Lines {
		if l.Level == level {
			n++
		}
	}
	return n
}

func (s *Section) ok(format string, args ...any) {
	s.Lines = append(s.Lines, Line{Level: OK, Text: fmt.Sprintf(format, args...)})
}

func (s *Section) warn(text, remedy string) {
	s.Lines = append(s.Lines, Line{Warning, text, remedy})
}

func (s *Section) bad(text, remedy string) { s.Lines = append(s.Lines, Line{Error, text, remedy}) }

// marks and colours of the levels, as ANSI escape sequences.
var (
	marks   = map[Level]string{OK: "√", Warning: "‼", Error: "×"}
	colours = map[Level]string{OK: "\x1b[32m", Warning: "\x1b[33m", Error: "\x1b[31m"}
)

// Print writes a report as text.
func (r *Report) Print(to io.Writer, coloured bool) error {
	var b strings.Builder
	for _, s := range r.Sections {
		fmt.Fprintf(&b, "%s\n%s\n", s.Title, strings.Repeat("-", len(s.Title)))
		for _, l := range s.Lines {
			mark := marks[l.Level]
			if coloured {
				mark = colours[l.Level] + mark + "\x1b[0m"
			}
			fmt.Fprintf(&b, "%s %s\n", mark, strings.ReplaceAll(l.Text, "\n", "\n  "))
			if l.Remedy != "" {
				fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(l.Remedy, "\n", "\n    "))
			}
		}
		b.WriteByte('\n')
	}
	b.WriteString(r.summary() + "\n")
	_, err := io.WriteString(to, b.String())
	return err
}

// summary returns the last line of a report.
func (r *Report) summary() string {
	errors, warnings := r.Count(Error), r.Count(Warning)
	if errors+warnings == 0 {
		return "No problem was found."
	}
	return plural(errors, "error") + ", " + plural(warnings, "warning")
}
