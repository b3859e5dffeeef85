package timeline

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"koordinator.io/koordinator/cli/history"
)

// columns is the width of a lane in characters.
const columns = 44

// glyphs of the states, and their colours on a terminal.
var glyphs = map[State]struct {
	sign  rune
	style string
}{
	Waiting:  {'░', "90"},
	Starting: {'▒', "33"},
	Ready:    {'█', "34"},
	Stopping: {'▚', "35"},
}

// Text prints the timeline: the cause of a failure first, then a line for each
// container.
func (t Timeline) Text(to io.Writer, colour bool) error {
	if t.Cause != "" {
		fmt.Fprintf(to, "Cause: %s\n", t.Cause)
	}
	total := t.offset(t.End)
	heading := fmt.Sprintf("Pod %s  %s  %s", t.Pod, t.Phase, total)
	names, longest := make([]string, len(t.Lanes)), len(heading)
	for i, l := range t.Lanes {
		names[i] = l.Container.Name
		longest = max(longest, len(names[i]))
	}
	fmt.Fprintf(to, "%-*s  0s %s %s\n", longest, heading, strings.Repeat("─", max(0, columns-len("0s ")-len(total)-1)), total)
	for i, l := range t.Lanes {
		fmt.Fprintf(to, "%-*s  %s  %s\n", longest, names[i], t.bar(l, colour), l.summary())
	}
	_, err := fmt.Fprintln(to, legend(colour))
	return err
}

// legend explains the glyphs.
func legend(colour bool) string {
	var parts []string
	for _, s := range []State{Waiting, Starting, Ready, Stopping} {
		parts = append(parts, paint(string(glyphs[s].sign), s, colour)+" "+string(s))
	}
	return strings.Join(parts, "  ")
}

func paint(text string, s State, colour bool) string {
	if !colour {
		return text
	}
	return "\x1b[" + glyphs[s].style + "m" + text + "\x1b[0m"
}

// bar returns a lane as text. A segment that is shorter than a column still has one.
func (t Timeline) bar(l Lane, colour bool) string {
	cells := make([]State, columns)
	for _, s := range l.Segments {
		from, to := t.column(s.From), t.column(s.To)
		for i := from; i <= max(from, to-1) && i < columns; i++ {
			cells[i] = s.State
		}
	}
	var b strings.Builder
	for _, s := range cells {
		if s == "" {
			b.WriteByte(' ')
			continue
		}
		b.WriteString(paint(string(glyphs[s].sign), s, colour))
	}
	return b.String()
}

// column returns the column of a time.
func (t Timeline) column(at time.Time) int {
	total := t.End.Sub(t.Begin)
	if total <= 0 {
		return 0
	}
	return min(columns-1, int(int64(at.Sub(t.Begin))*columns/int64(total)))
}

// offset returns a time in seconds since the beginning.
func (t Timeline) offset(at time.Time) string {
	return Seconds(at.Sub(t.Begin))
}

// Seconds formats a duration for people: three decimals below ten seconds, fewer above.
func Seconds(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.3fs", d.Seconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

// ChainText prints the critical chain, the end first, with the time of each moment and the
// time since its cause.
func (t Timeline) ChainText(to io.Writer) error {
	if t.Cause != "" {
		fmt.Fprintf(to, "Cause: %s\n", t.Cause)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for i, m := range t.Chain {
		lead := ""
		if i > 0 {
			lead = strings.Repeat("  ", i-1) + "└─"
		}
		took := ""
		if i+1 < len(t.Chain) {
			took = "+" + Seconds(m.At.Sub(t.Chain[i+1].At))
		}
		fmt.Fprintf(w, "%s%s\t@%s\t%s\t%s\n", lead, m.name(), t.offset(m.At), took, t.note(m))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return trimmed(to, b.String())
}

// trimmed prints text without the trailing blanks of lines with an empty last column.
func trimmed(to io.Writer, text string) error {
	for line := range strings.Lines(text) {
		if _, err := fmt.Fprintln(to, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// name returns a moment in words.
func (m *Moment) name() string {
	switch m.Kind {
	case history.PodCreated:
		return "pod created"
	case history.PodDeleted:
		return "pod deleted"
	default:
		return m.Container + " " + string(m.Kind)
	}
}

// note returns the known reason for the time of a moment.
func (t Timeline) note(m *Moment) string {
	if m.Kind != history.Created {
		return m.Why
	}
	for _, e := range t.Log {
		if e.Kind == history.Cluster && e.Container == m.Container && e.Reason == "Pulled" && strings.Contains(e.Text, " in ") {
			_, took, _ := strings.Cut(e.Text, " in ")
			took, _, _ = strings.Cut(took, " ")
			return "image pull " + took
		}
	}
	return ""
}

// LogText prints every event, oldest first. It includes the output of commands.
func (t Timeline) LogText(to io.Writer) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, row := range t.rows() {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return trimmed(to, b.String())
}

// rows returns the events as a table.
func (t Timeline) rows() [][]string {
	var rows [][]string
	for _, e := range t.Log {
		rows = append(rows, []string{t.offset(e.At), e.Container, string(e.Kind), Sentence(e)})
	}
	return rows
}

// Sentence returns an event in words.
func Sentence(e history.Event) string {
	switch e.Kind {
	case history.Waiting:
		return "waiting for " + strings.Join(e.For, ", ")
	case history.Started:
		if len(e.For) > 0 {
			return "started, after waiting for " + strings.Join(e.For, ", ")
		}
		return "started"
	case history.Stopping:
		return strings.TrimSuffix(strings.Join([]string{"stopping with", e.Signal + ":", e.Reason}, " "), ": ")
	case history.Held:
		return "stop request held until " + strings.Join(e.For, ", ") + " exited"
	case history.Exited:
		return fmt.Sprintf("command exited with code %d", e.ExitCode)
	case history.Output:
		return "│ " + e.Text
	case history.Cluster, history.PodCreated, history.PodDeleted, history.PodEnded, history.Created:
		return e.Text
	default:
		text := e.Text
		if text == "" {
			text = string(e.Kind)
		}
		if e.Reason != "" {
			text += ": " + e.Reason
		}
		return text
	}
}
