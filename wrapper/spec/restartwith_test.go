package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRestartWith(t *testing.T) {
	for _, text := range []string{`"a, b"`, `["a", "b"]`} {
		s, err := Parse(`{"container":"main","restart":{"policy":"OnFailure"},"restartWith": ` + text + `}`)
		if err != nil || !slices.Equal(s.RestartWith, []string{"a", "b"}) {
			t.Errorf("%s: have %q, %v", text, s.RestartWith, err)
		}
		if again, err := Parse(s.Encode()); err != nil || !slices.Equal(again.RestartWith, s.RestartWith) || !strings.HasPrefix(s.Encode(), `{"version":2,`) {
			t.Errorf("%s is encoded as %s: %v", text, s.Encode(), err)
		}
	}
}

func TestRestartWithRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`"restartWith":"A"`:                              `"A" is not a container name`,
		`"restartWith":"a,"`:                             `"" is not a container name`,
		`"restartWith":"main"`:                           `container "main" cannot restart with itself`,
		`"restartWith":["a","a"]`:                        `container "a" is listed twice`,
		`"restartWith":{"a":1}`:                          "is not a list of containers",
		`"restartWith":"a","mode":"exec"`:                "mode exec does not support this field",
		`"restartWith":"a","restart":{"policy":"Never"}`: "does not start a container again that exited with code 75",
		`"restartWith":"a","restart":{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":[3]}}]}`: "does not start a container again",
	} {
		_, err := Parse(`{"container":"main",` + text + `}`)
		if err == nil || !strings.Contains(err.Error(), "restartWith: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, want %q", text, err, want)
		}
	}
	rules := `{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":[75]}}]}`
	if _, err := Parse(`{"restartWith":"a","restart":` + rules + `}`); err != nil {
		t.Errorf("a rule starts it again: %v", err)
	}
}

func TestReadyWhen(t *testing.T) {
	s, err := Parse(`{"readyWhen":"notify"}`)
	if again, _ := Parse(s.Encode()); err != nil || again.ReadyWhen != ReadyByNotice || !strings.HasPrefix(s.Encode(), `{"version":2,`) {
		t.Errorf("have %v, encoded as %s", err, s.Encode())
	}
	if text := Default().Encode(); strings.Contains(text, "readyWhen") || !strings.HasPrefix(text, `{"version":1,`) {
		t.Errorf("the default is encoded as %s", text)
	}
	for text, want := range map[string]string{
		`{"readyWhen":"always"}`:               `readyWhen: "always" is not a valid value. Use one of probes, notify`,
		`{"readyWhen":"notify","mode":"exec"}`: "readyWhen: mode exec does not support this field",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: have %v, want %q", text, err, want)
		}
	}
}

func TestNamesAreReadFromEveryForm(t *testing.T) {
	for text, want := range map[string][]string{
		`"a"`: {"a"}, `" a , b "`: {"a", "b"}, `["b","a"]`: {"b", "a"}, ` [ "a" ] `: {"a"}, `[]`: {}, `7`: {"7"}, `[1e3,true]`: {"1e3", "true"},
	} {
		s, err := Parse(`{"restartWith":` + text + `}`)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, s.RestartWith); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
	}
}

func TestWrongContainersToRestartWithAreRejected(t *testing.T) {
	const form = "Write a container, several containers separated by commas, or a list"
	const name = `Use lowercase letters, digits and "-"`
	const policy = "Change the restart policy or its rules, or remove restartWith"
	const notAgain = "the restart policy does not start a container again that exited with code 75"
	rule := func(codes string) string {
		return `"rules":[{"action":"Restart","exitCodes":{"operator":"NotIn","values":[` + codes + `]}}]`
	}
	refuses(t, map[string]refusal{
		"null":               {`{"restartWith":null}`, Problems{{WrongForm, "restartWith", "", "null is not a list of containers", form}}},
		"an object":          {`{"restartWith":{"a":1}}`, Problems{{WrongForm, "restartWith", "", `{"a":1} is not a list of containers`, form}}},
		"a list in a list":   {`{"restartWith":["a",["b"]]}`, Problems{{WrongForm, "restartWith", `["b"]`, `[1]: ["b"] is not a single value`, "Write one value"}}},
		"nothing":            {`{"restartWith":""}`, Problems{{InvalidDependency, "restartWith", "", `"" is not a container name`, name}}},
		"a condition":        {`{"restartWith":"a=exited"}`, Problems{{InvalidDependency, "restartWith", "a=exited", `"a=exited" is not a container name`, name}}},
		"all that are wrong": {`{"restartWith":["A","b","C"]}`, Problems{{InvalidDependency, "restartWith", "A", `"A" is not a container name`, name}, {InvalidDependency, "restartWith", "C", `"C" is not a container name`, name}}},
		"itself":             {`{"container":"main","restartWith":"a,main"}`, Problems{{OnItself, "restartWith", "main", `container "main" cannot restart with itself`, "Remove it"}}},
		"one twice":          {`{"restartWith":"a,b,a"}`, Problems{{NamedTwice, "restartWith", "a", `container "a" is listed twice`, "Keep one"}}},
		"Never":              {`{"restartWith":"a","restart":{"policy":"Never"}}`, Problems{{NotRestarted, "restartWith", "", notAgain, policy}}},
		"rules but for 75":   {`{"restartWith":"a","restart":{"policy":"Never",` + rule("0,75") + `}}`, Problems{{NotRestarted, "restartWith", "", notAgain, policy}}},
		"a name and Never":   {`{"restartWith":"A","restart":{"policy":"Never"}}`, Problems{{InvalidDependency, "restartWith", "A", `"A" is not a container name`, name}, {NotRestarted, "restartWith", "", notAgain, policy}}},
	})
	for name, text := range map[string]string{
		"Always":                     `{"restartWith":"a","restart":{"policy":"Always"}}`,
		"OnFailure, as 75 is one":    `{"restartWith":"a","restart":{"policy":"OnFailure"}}`,
		"no policy is known":         `{"restartWith":"a"}`,
		"Never, with a rule":         `{"restartWith":"a","restart":{"policy":"Never",` + rule("0") + `}}`,
		"Never, but no containers":   `{"restartWith":[],"restart":{"policy":"Never"}}`,
		"Never, without restartWith": `{"restart":{"policy":"Never"}}`,
	} {
		if _, err := Parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
