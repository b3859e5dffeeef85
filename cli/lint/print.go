package lint

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Formats lists the formats of a report, the default first.
var Formats = []string{"text", "json", "sarif", "junit", "github"}

// Print writes a report in one of Formats.
func (r Report) Print(to io.Writer, format string) error {
	switch format {
	case "json":
		return writeJSON(to, r)
	case "sarif":
		return writeJSON(to, r.sarif())
	case "junit":
		return r.junit(to)
	case "github":
		return r.github(to)
	default:
		return r.text(to)
	}
}

// text writes the findings as text, grouped by object.
func (r Report) text(to io.Writer) error {
	var b strings.Builder
	object := ""
	for _, f := range r.Findings {
		if title := f.title(); title != object {
			fmt.Fprintln(&b, title)
			object = title
		}
		fmt.Fprintf(&b, "  %-7s %s  %s: %s\n", f.Level, f.Code, f.Path, f.Sentence)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "                 %s\n", f.Remedy)
		}
	}
	fmt.Fprintln(&b, r.summary())
	_, err := io.WriteString(to, b.String())
	return err
}

// title names the object of a finding: job/report (templates/job.yaml:7).
func (f Finding) title() string {
	place := f.Template
	if place == "" {
		place = f.File
	}
	name := f.Object
	if f.Namespace != "" {
		name = f.Namespace + " " + name
	}
	return fmt.Sprintf("%s (%s)", name, place)
}

// summary returns the numbers of objects and findings.
func (r Report) summary() string {
	text := count(r.Objects, "object") + ", " + count(r.Count(Error), "error") + ", " + count(r.Count(Warning), "warning")
	if n := r.Count(Note); n > 0 {
		text += ", " + count(n, "note")
	}
	return text
}

// count returns a number and a noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// text returns a finding in one line, without its place in the file.
func (f Finding) text() string {
	text := f.Path + ": " + f.Sentence
	if f.Remedy != "" {
		text += ". " + f.Remedy
	}
	return text
}

func writeJSON(to io.Writer, value any) error {
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// github writes workflow commands, which GitHub shows as annotations of a change:
// https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions.
func (r Report) github(to io.Writer) error {
	commands := map[Level]string{Error: "error", Warning: "warning", Note: "notice"}
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	for _, f := range r.Findings {
		_, err := fmt.Fprintf(to, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", commands[f.Level], property.Replace(f.File), f.Line, f.Column,
			property.Replace(string(f.Code)+" "+f.Object), data.Replace(f.text()))
		if err != nil {
			return err
		}
	}
	return nil
}

// suite is a report in JUnit's format: a test for each finding, or one test that passes if
// there is no finding.
type suite struct {
	XMLName  xml.Name `xml:"testsuite"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Cases    []test   `xml:"testcase"`
}

// test is one finding. Tests of warnings and notes pass, and output their text.
type test struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Failure *failure `xml:"failure,omitempty"`
	Output  string   `xml:"system-out,omitempty"`
}

type failure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (r Report) junit(to io.Writer) error {
	s := suite{Name: "kubectl koordinator lint", Failures: r.Count(Error)}
	for _, f := range r.Findings {
		place := fmt.Sprintf("%s:%d", f.File, f.Line)
		t := test{Class: f.Object, Name: fmt.Sprintf("%s %s", f.Code, f.Path)}
		if f.Level == Error {
			t.Failure = &failure{string(f.Code), f.text(), place}
		} else {
			t.Output = fmt.Sprintf("%s: %s (%s)", f.Level, f.text(), place)
		}
		s.Cases = append(s.Cases, t)
	}
	if len(s.Cases) == 0 {
		s.Cases = []test{{Class: "lint", Name: r.summary()}}
	}
	s.Tests = len(s.Cases)
	text, err := xml.MarshalIndent(s, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(to, "%s%s\n", xml.Header, text)
	}
	return err
}
