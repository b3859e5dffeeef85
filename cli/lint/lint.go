// Package lint finds mistakes in manifests. It reports everything that the webhook would
// report, and mistakes that a webhook cannot detect: a webhook gets one object at a time,
// and gets no object whose annotation or label is in the wrong place. It needs no cluster.
package lint

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// Level is the severity of a finding.
type Level string

// The levels.
const (
	Error   Level = "error"   // koordinator rejects the pod, or the setting has no effect
	Warning Level = "warning" // the pod is accepted, but may not behave as its author expects
	Note    Level = "note"    // nothing is wrong, and there is a simpler way
)

// Finding is one problem or note.
type Finding struct {
	Level     Level         `json:"level"`
	Code      messages.Code `json:"code"`
	File      string        `json:"file"`
	Line      int           `json:"line"` // line in the file, from 1
	Column    int           `json:"column"`
	Object    string        `json:"object"`              // in kubectl's notation, for example job/report
	Namespace string        `json:"namespace,omitempty"` // as in the manifest, "" if missing
	Template  string        `json:"template,omitempty"`  // file in the chart, if Helm names it
	Path      string        `json:"path"`                // path in the object
	Container string        `json:"container,omitempty"`
	Sentence  string        `json:"message"`
	Remedy    string        `json:"remedy,omitempty"`
}

// Report is the result for a set of manifests.
type Report struct {
	Objects  int       `json:"objects"` // number of objects that are or describe a pod
	Findings []Finding `json:"findings"`
}

// Count returns the number of findings with a level.
func (r Report) Count(level Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Check checks all objects of a set of manifests together, and reports the findings in the
// order of the objects. operators holds the rules of the installation.
func Check(elements []document.Element, settings inject.Settings, operators []rules.Rule) Report {
	c := &checker{settings: settings, namespaces: namespacesOf(elements), rules: operators}
	for _, e := range elements {
		c.element(e)
	}
	return c.report
}

// checker collects findings.
type checker struct {
	settings   inject.Settings
	namespaces map[string]document.Element // namespaces of the input, by name
	rules      []rules.Rule
	report     Report
}

// element checks one object.
func (c *checker) element(e document.Element) {
	from := len(c.report.Findings)
	c.misplaced(e)
	c.twice(e)
	c.misspelt(e)
	if len(e.Pods) > 0 {
		c.report.Objects++
	}
	for _, p := range e.Pods {
		c.pod(e, p)
	}
	order := func(a, b Finding) int {
		return cmp.Or(strings.Compare(string(a.Level), string(b.Level)), cmp.Compare(a.Line, b.Line))
	}
	slices.SortStableFunc(c.report.Findings[from:], levelFirst(order))
}

// levelFirst orders errors before warnings before notes.
func levelFirst(order func(a, b Finding) int) func(a, b Finding) int {
	ranks := map[Level]int{Error: 0, Warning: 1, Note: 2}
	return func(a, b Finding) int {
		return cmp.Or(cmp.Compare(ranks[a.Level], ranks[b.Level]), order(a, b))
	}
}

// pod checks one pod of an object.
func (c *checker) pod(e document.Element, p input.Pod) {
	root := rootOf(p)
	if annotations.Present(p.Pod.ObjectMeta) && !annotations.Disabled(p.Pod.ObjectMeta) {
		c.enabled(e, p)
	}
	p.Pod = c.ruled(e, p)
	problems, warnings := admission.Check(p.Pod, root, c.settings)
	for _, problem := range problems {
		c.problem(e, Error, problem)
	}
	for _, warning := range warnings {
		c.problem(e, Warning, warning)
	}
	if len(problems) > 0 || !annotations.Present(p.Pod.ObjectMeta) || annotations.Disabled(p.Pod.ObjectMeta) {
		return
	}
	asked, _ := annotations.Read(p.Pod.ObjectMeta, root)
	c.restarts(e, p, asked)
	c.nativeSidecars(e, p, asked)
}

// rootOf returns the path of a pod in its object, nil if the object is the pod.
func rootOf(p input.Pod) *field.Path {
	if p.Place == "" {
		return nil
	}
	return field.NewPath(p.Place)
}

// problem reports a problem of the webhook.
func (c *checker) problem(e document.Element, level Level, p messages.Problem) {
	c.add(e, Finding{Level: level, Code: p.Code, Path: p.Path.String(), Container: p.Container, Sentence: p.Sentence, Remedy: p.Remedy})
}

// add reports a finding about an object, at the path of the finding.
func (c *checker) add(e document.Element, f Finding) {
	f.File, f.Object, f.Namespace, f.Template = e.Source, e.Name(), e.Object.Object.GetNamespace(), e.Document.Template
	f.Line, f.Column = e.Locate(f.Path)
	c.report.Findings = append(c.report.Findings, f)
}
