package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// judged lists the tests that run whole programs.
var judged = []string{"*_test.go", "../pod/*_test.go", "../images/*_test.go", "../demo/*.go", "../cluster/e2e_test.go"}

// TestNoTestAssertsADuration finds tests that assert durations. A duration depends more on
// the machine than on the product. A test must wait, for minutes if needed, and then check
// what has happened, in which order and why.
func TestNoTestAssertsADuration(t *testing.T) {
	for _, pattern := range judged {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, path := range paths {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range faults(file) {
				t.Errorf("%s: %s", files.Position(f.at), f.what)
			}
		}
	}
}

func TestADurationThatIsAssertedIsFound(t *testing.T) {
	for _, tt := range []struct {
		code string
		want int // number of faults
	}{
		{`if took := time.Since(began); took > 10*time.Second { t.Error(took) }`, 1},
		{`if late := p.when(t, "a").Sub(m.when(t, "b")); late > most { t.Error(late) }`, 1},
		{`took := time.Since(began); if 5 < took.Seconds() { t.Fail() }`, 1},
		{`const most = time.Minute; if x := f(); x >= most { t.Fail() }`, 1},
		{`if e.FinishedAt.Before(&m.FinishedAt) { t.Fail() }`, 1},
		{`if m.StartedAt.After(at) { t.Fail() }`, 1},
		{`var slow time.Duration; slow = f(); if slow != 0 { t.Fail() }`, 1},
		{`check := func(d time.Duration) bool { return d < 5 }; _ = check`, 1},
		{`for end := time.Now().Add(wait); time.Now().Before(end); { }`, 1},
		{`kubectl(t, "wait", "--for=condition=Ready", "--timeout=60s")`, 1},
		{`helm("--timeout", "2m")`, 1},
		{`ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second); _, _ = ctx, cancel`, 1},
		{`select { case <-done: case <-time.After(30*time.Second): }`, 1},

		{`kubectl(t, "wait", "--timeout=5m"); helm("--timeout", "10m")`, 0},
		{`ctx, cancel := context.WithTimeout(t.Context(), wait); _, _ = ctx, cancel`, 0},
		{`select { case <-done: case <-time.After(5*time.Minute): }`, 0},
		{`notBefore(t, from, 3*time.Second, then)`, 0},
		{`s.created++; t.Logf("%s", time.Since(began)); if s.created < 20 { t.Fail() }`, 0},
		{`if p.DeletionTimestamp == nil { n++ }; if n > 5 { t.Fail() }`, 0},
		{`time.Sleep(3*time.Second)`, 0},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc f() {\n"+tt.code+"\n}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s: %v", tt.code, err)
		}
		if found := faults(file); len(found) != tt.want {
			t.Errorf("%s: %d faults, want %d: %v", tt.code, len(found), tt.want, found)
		}
	}
}

// fault is a forbidden use of a duration in a test.
type fault struct {
	at   token.Pos
	what string
}

// mayLook lists the functions that may compare times: those that wait, the one that checks
// that something did not happen too early, and a part of this check.
var mayLook = []string{"eventually", "notBefore", "timeout"}

// faults returns the faults of a file.
func faults(file *ast.File) []fault {
	c := clocks{names: map[string]bool{}}
	ast.Inspect(file, c.learn)
	ast.Inspect(file, c.learn) // a second pass finds values derived from a name that is learned later
	ast.Inspect(file, c.judge)
	return c.found
}

// clocks finds assertions of durations. It does not know types: a name that stands for a
// time or a duration anywhere in a file does so in the whole file.
type clocks struct {
	names map[string]bool
	found []fault
}

// learn records the names that stand for times and durations.
func (c *clocks) learn(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.Field:
		c.note(n.Names, n.Type)
	case *ast.ValueSpec:
		c.note(n.Names, append(n.Values, n.Type)...)
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if name, ok := left.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
				c.note([]*ast.Ident{name}, n.Rhs[i])
			}
		}
	}
	return true
}

func (c *clocks) note(names []*ast.Ident, values ...ast.Expr) {
	if slices.ContainsFunc(values, c.timed) {
		for _, name := range names {
			c.names[name.Name] = true
		}
	}
}

var (
	// ofTime lists names of package time whose values are not numbers.
	ofTime = []string{"Duration", "Time", "Now", "Since", "Until", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"}
	// ofTimes lists methods and fields of other packages that return times and durations.
	ofTimes = []string{"Sub", "Seconds", "Milliseconds", "Minutes", "StartedAt", "FinishedAt", "CreationTimestamp", "DeletionTimestamp", "LastTransitionTime"}
)

// timed reports whether an expression results in a time or a duration, or contains one.
func (c *clocks) timed(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return c.names[e.Name]
	case *ast.SelectorExpr:
		if isPackage(e.X, "time") {
			return slices.Contains(ofTime, e.Sel.Name)
		}
		return slices.Contains(ofTimes, e.Sel.Name) || c.names[e.Sel.Name]
	case *ast.CallExpr:
		return c.timed(e.Fun)
	case *ast.BinaryExpr:
		return e.Op.Precedence() > token.EQL.Precedence() && (c.timed(e.X) || c.timed(e.Y))
	case *ast.ParenExpr:
		return c.timed(e.X)
	case *ast.StarExpr:
		return c.timed(e.X)
	case *ast.UnaryExpr:
		return c.timed(e.X)
	}
	return false
}

// judge records the faults of a function.
func (c *clocks) judge(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return !slices.Contains(mayLook, n.Name.Name)
	case *ast.BinaryExpr:
		if n.Op.Precedence() == token.EQL.Precedence() && !isNil(n.X) && !isNil(n.Y) && (c.timed(n.X) || c.timed(n.Y)) {
			c.found = append(c.found, fault{n.Pos(), "a duration is compared: show the reason or the order instead"})
		}
	case *ast.CallExpr:
		c.call(n)
	}
	return true
}

// call records the faults of a call.
func (c *clocks) call(n *ast.CallExpr) {
	if f, ok := n.Fun.(*ast.SelectorExpr); ok {
		_, ofPackage := f.X.(*ast.Ident)
		switch name := f.Sel.Name; {
		case slices.Contains([]string{"Before", "After", "Compare"}, name) && (!ofPackage || !isPackage(f.X, "time")):
			c.found = append(c.found, fault{n.Pos(), "times are compared: use inOrder or notBefore"})
		case name == "WithTimeout" || name == "After":
			if last := n.Args[len(n.Args)-1]; mentions(last, "Second") || mentions(last, "Millisecond") {
				c.found = append(c.found, fault{n.Pos(), "a deadline of seconds: it has to be minutes"})
			}
		}
	}
	for i, arg := range n.Args {
		if timeout(arg, n.Args[i+1:]) {
			c.found = append(c.found, fault{arg.Pos(), fmt.Sprintf("a timeout of less than %s", patience)})
		}
	}
}

// patience is the shortest allowed timeout for a program.
const patience = 5 * time.Minute

// option matches the timeout option of kubectl and helm.
var option = regexp.MustCompile(`^"--timeout(?:=(\w+))?"$`)

// timeout reports whether an argument, together with the next one, is a timeout that is too short.
func timeout(arg ast.Expr, rest []ast.Expr) bool {
	text, ok := arg.(*ast.BasicLit)
	if !ok {
		return false
	}
	m := option.FindStringSubmatch(text.Value)
	if m == nil {
		return false
	}
	value := m[1]
	if value == "" && len(rest) > 0 {
		if next, ok := rest[0].(*ast.BasicLit); ok {
			value = strings.Trim(next.Value, `"`)
		}
	}
	d, err := time.ParseDuration(value)
	return err != nil || d < patience
}

func isPackage(e ast.Expr, name string) bool {
	i, ok := e.(*ast.Ident)
	return ok && i.Name == name
}

func isNil(e ast.Expr) bool { return isPackage(e, "nil") }

// mentions reports whether an expression contains a name of package time.
func mentions(e ast.Expr, name string) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		found = found || ok && isPackage(s.X, "time") && s.Sel.Name == name
		return true
	})
	return found
}
