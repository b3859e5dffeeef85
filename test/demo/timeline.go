package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// logLine is how the wrapper's log begins.
var logLine = regexp.MustCompile(`^time=\S+ level=\S+ msg=("[^"]*"|\S+)`)

// field finds key=value in a log line.
func field(line, key string) string {
	m := regexp.MustCompile(` ` + key + `=("(?:[^"\\]|\\.)*"|\S+)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], `"`)
}

// plain puts a log line into the words of the timeline; "" leaves it out.
func plain(line string) string {
	m := logLine.FindStringSubmatch(line)
	if m == nil || !strings.Contains(line, "from=koordinator") {
		return `says "` + line + `"`
	}
	switch strings.Trim(m[1], `"`) {
	case "waiting":
		return "waiting for " + field(line, "for")
	case "command started":
		return "started"
	case "stopping command":
		return "stopped with " + field(line, "signal") + ": " + field(line, "reason")
	default:
		return ""
	}
}

// columns of the summary, each with how a moment of it begins.
var columns = []struct{ title, begins string }{
	{"created", "created"},
	{"waiting", "waiting"},
	{"started", "started"},
	{"ready", "ready"},
	{"stopped", "stopped"},
	{"exited", "exited"},
}

// timeline collects when each container first came to each column.
type timeline struct {
	names []string
	cells map[string]string // container and column → seconds
	codes map[string]string
}

func (t *timeline) add(m moment, began time.Time) {
	if t.cells == nil {
		t.cells, t.codes = map[string]string{}, map[string]string{}
	}
	for _, c := range columns {
		if !strings.HasPrefix(m.what, c.begins) || m.who == "pod" || t.cells[m.who+c.title] != "" {
			continue
		}
		t.cells[m.who+c.title] = fmt.Sprintf("%.2f", m.at.Sub(began).Seconds())
		if !slices.Contains(t.names, m.who) {
			t.names = append(t.names, m.who)
		}
		if _, code, ok := strings.Cut(m.what, "code "); ok && c.title == "exited" {
			t.codes[m.who] = code
		}
	}
}

// print prints the summary: a line a container, seconds since the apply.
func (t *timeline) print(condition string) {
	fmt.Printf("\n%-20s", "seconds since apply")
	for _, c := range columns {
		fmt.Printf("%9s", c.title)
	}
	fmt.Printf("%6s\n", "code")
	for _, name := range t.names {
		fmt.Printf("%-20s", name)
		for _, c := range columns {
			fmt.Printf("%9s", orDash(t.cells[name+c.title]))
		}
		fmt.Printf("%6s\n", orDash(t.codes[name]))
	}
	fmt.Printf("\nJob %s: %s\n", job, condition)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
