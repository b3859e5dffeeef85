package spec

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusal is the text of a spec with all of its problems.
type refusal struct {
	text string
	want Problems
}

// refuses parses each text and compares the complete problems: code, field,
// value, text and remedy.
func refuses(t *testing.T, table map[string]refusal) {
	t.Helper()
	for name, tt := range table {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.text)
			have, _ := errors.AsType[Problems](err)
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("%s: %v (-want +have):\n%s", tt.text, err, diff)
			}
		})
	}
}

func TestAProblemHasPlaceTextRemedyAndCode(t *testing.T) {
	for name, tt := range map[string]struct {
		problem Problem
		want    string
	}{
		"all of it": {
			Problem{InvalidDuration, "stopDelay", "10", `"10" is not a duration`, "Write 10s"},
			`stopDelay: "10" is not a duration. Write 10s [KO117]`,
		},
		"without a field":  {Problem{WrongForm, "", "", "it is empty", "Write {}"}, "it is empty. Write {} [KO104]"},
		"without a remedy": {Problem{InvalidValue, "wrapped", "A", "no", ""}, "wrapped: no [KO113]"},
		"without a code":   {Problem{"", "wrapped", "A", "no", "Remove it"}, "wrapped: no. Remove it"},
		"the text alone":   {Problem{Text: "no"}, "no"},
	} {
		t.Run(name, func(t *testing.T) {
			if have := tt.problem.String(); have != tt.want {
				t.Errorf("have %q, want %q", have, tt.want)
			}
		})
	}
}

func TestAllProblemsAreOneError(t *testing.T) {
	one, two := Problem{Field: "a", Text: "no"}, Problem{Field: "b", Text: "neither", Code: WrongForm}
	for want, problems := range map[string]Problems{
		"":                                 nil,
		"a: no":                            {one},
		"a: no; b: neither [KO104]":        {one, two},
		"a: no; a: no; b: neither [KO104]": {one, one, two},
	} {
		if have := problems.Error(); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
	if err := join(nil); err != nil {
		t.Errorf("no problems are the error %v", err)
	}
	if err := join(Problems{one}); err == nil || err.Error() != "a: no" {
		t.Errorf("one problem is the error %v", err)
	}
}

func TestProblemsKeepCodeValueAndRemedy(t *testing.T) {
	cause := wrong(UnknownWord, "x", "Use y", "%q is no word", "x")
	for name, tt := range map[string]struct {
		have Problems
		want Problems
	}{
		"of a value": {problemsOf(cause), Problems{{UnknownWord, "", "x", `"x" is no word`, "Use y"}}},
		"of a field": {in("f", cause), Problems{{UnknownWord, "f", "x", `"x" is no word`, "Use y"}}},
		"of a part of a field": {
			in("f", within("[1]", within("g", cause))),
			Problems{{UnknownWord, "f", "x", `[1]: g: "x" is no word`, "Use y"}},
		},
		"wrapped by another error": {problemsOf(fmt.Errorf("read: %w", cause)), Problems{{UnknownWord, "", "x", `"x" is no word`, "Use y"}}},
		"of another error":         {in("f", errors.New("no port")), Problems{{Code: InvalidValue, Field: "f", Text: "no port"}}},
		"of several": {
			in("f", within("g", Problems{{Text: "no"}, {Text: "neither"}})),
			Problems{{Field: "f", Text: "g: no"}, {Field: "f", Text: "g: neither"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if first := problemsOf(cause)[0]; first.Field != "" || first.Text != `"x" is no word` {
		t.Errorf("the place was written into the cause: %q", first)
	}
}

// TestThePagesExplainEveryCode looks up each code of problem.go in the reference page.
func TestThePagesExplainEveryCode(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/reference/messages.md")
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for line := range strings.Lines(string(source)) {
		if _, rest, found := strings.Cut(line, `Code = "`); found {
			code, _, _ := strings.Cut(rest, `"`)
			codes = append(codes, code)
		}
	}
	if len(codes) < 20 {
		t.Fatalf("found %q", codes)
	}
	for i, code := range codes {
		if !strings.Contains(string(page), "\n### "+code+"\n") {
			t.Errorf("no section explains %s", code)
		}
		if slices.Contains(codes[:i], code) {
			t.Errorf("%s is the code of two kinds of problems", code)
		}
	}
}
