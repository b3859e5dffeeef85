package spec

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCodesShowEveryOutcome compares the outcomes of these codes with those of
// all codes.
func TestCodesShowEveryOutcome(t *testing.T) {
	for _, policy := range []string{RestartAlways, RestartOnFailure, RestartNever} {
		for _, rules := range [][]RestartRule{nil, {{Action: "Restart", ExitCodes: &ExitCodes{Operator: "In", Values: []int{42}}}}} {
			r := Restart{Policy: policy, Rules: rules}
			have, want := map[[2]bool]bool{}, map[[2]bool]bool{}
			for code := range 256 {
				outcome := [2]bool{code == 0, r.ForGood(code)}
				want[outcome] = true
				if code < r.Codes() {
					have[outcome] = true
				}
			}
			if !maps.Equal(have, want) {
				t.Errorf("%+v: %d codes show %v, all show %v", r, r.Codes(), have, want)
			}
		}
	}
}

func TestAnExitIsPermanentByPolicyAndRules(t *testing.T) {
	in := func(action string, codes ...int) RestartRule { return RestartRule{action, &ExitCodes{"In", codes}} }
	notIn := func(action string, codes ...int) RestartRule { return RestartRule{action, &ExitCodes{"NotIn", codes}} }
	for _, tt := range []struct {
		name    string
		restart Restart
		forGood map[int]bool
	}{
		{"no policy is known", Restart{}, map[int]bool{0: false, 1: false, 255: false}},
		{"Always", Restart{Policy: RestartAlways}, map[int]bool{0: false, 1: false, 255: false}},
		{"OnFailure", Restart{Policy: RestartOnFailure}, map[int]bool{0: true, 1: false, 255: false}},
		{"Never", Restart{Policy: RestartNever}, map[int]bool{0: true, 1: true, 255: true}},
		{"a rule restarts what Never would not", Restart{RestartNever, []RestartRule{in("Restart", 42, 43)}}, map[int]bool{0: true, 42: false, 43: false, 44: true}},
		{"a rule restarts the whole pod", Restart{RestartNever, []RestartRule{in("RestartAllContainers", 42)}}, map[int]bool{42: false, 43: true}},
		{"all codes but one", Restart{RestartNever, []RestartRule{notIn("Restart", 0)}}, map[int]bool{0: true, 1: false, 255: false}},
		{"no code is in no list", Restart{RestartNever, []RestartRule{in("Restart")}}, map[int]bool{0: true, 1: true}},
		{"every code is not in no list", Restart{RestartNever, []RestartRule{notIn("Restart")}}, map[int]bool{0: false, 1: false}},
		{"an action of a later Kubernetes is the policy's", Restart{RestartOnFailure, []RestartRule{in("Pause", 0, 1)}}, map[int]bool{0: true, 1: false}},
		{"an operator of a later Kubernetes matches nothing", Restart{RestartNever, []RestartRule{{"Restart", &ExitCodes{"Between", []int{1, 3}}}}}, map[int]bool{1: true, 2: true}},
		{"a rule without codes matches nothing", Restart{RestartNever, []RestartRule{{Action: "Restart"}}}, map[int]bool{0: true, 1: true}},
		{"the first rule that matches counts", Restart{RestartNever, []RestartRule{in("Pause", 7), notIn("Restart", 0)}}, map[int]bool{0: true, 7: true, 8: false}},
		{"a rule without codes is passed over", Restart{RestartNever, []RestartRule{{Action: "Pause"}, in("Restart", 7)}}, map[int]bool{7: false, 8: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for code, want := range tt.forGood {
				if have := tt.restart.ForGood(code); have != want {
					t.Errorf("code %d: permanent: %t, want %t", code, have, want)
				}
			}
		})
	}
}

func TestTheRuleOfACode(t *testing.T) {
	r := Restart{RestartNever, []RestartRule{
		{"Restart", &ExitCodes{"In", []int{1, 2}}},
		{"RestartAllContainers", &ExitCodes{"In", []int{2, 3}}},
	}}
	for code, want := range map[int]string{0: "", 1: "Restart", 2: "Restart", 3: "RestartAllContainers", 4: ""} {
		if have := r.Rule(code); have != want {
			t.Errorf("code %d: have %q, want %q", code, have, want)
		}
	}
}

func TestRestartIsRead(t *testing.T) {
	for text, want := range map[string]Restart{
		`{"policy":"Always"}`:                             {Policy: "Always"},
		` { "policy" : "Never" } `:                        {Policy: "Never"},
		`{"policy":"OnFailure","rules":[]}`:               {Policy: "OnFailure", Rules: []RestartRule{}},
		`{"rules":null,"policy":"Never"}`:                 {Policy: "Never"},
		`{"policy":"Never","rules":[{"action":"Pause"}]}`: {"Never", []RestartRule{{Action: "Pause"}}},
		`{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":["1",2]}}]}`: {"Never", []RestartRule{{"Restart", &ExitCodes{"In", []int{1, 2}}}}},
	} {
		s, err := Parse(`{"restart":` + text + `}`)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, s.Restart); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
	}
	const use = "Use Always, OnFailure or Never"
	refuses(t, map[string]refusal{
		"another policy":            {`{"restart":{"policy":"Sometimes"}}`, Problems{{UnknownWord, "restart", "Sometimes", `"Sometimes" is not a restart policy`, use}}},
		"a policy in small letters": {`{"restart":{"policy":"always"}}`, Problems{{UnknownWord, "restart", "always", `"always" is not a restart policy`, use}}},
		"an empty policy":           {`{"restart":{"policy":""}}`, Problems{{UnknownWord, "restart", "", `"" is not a restart policy`, use}}},
		"no policy":                 {`{"restart":{}}`, Problems{{UnknownWord, "restart", "", `"" is not a restart policy`, use}}},
		"rules without a policy":    {`{"restart":{"rules":[]}}`, Problems{{UnknownWord, "restart", "", `"" is not a restart policy`, use}}},
		"null for the policy":       {`{"restart":{"policy":null}}`, Problems{{WrongForm, "restart", "null", "null is not a single value", "Write one value"}}},
		"the policy alone":          {`{"restart":"Never"}`, Problems{{WrongForm, "restart", "", `"Never" is not a JSON object`, "Write {…}"}}},
		"the policy twice":          {`{"restart":{"policy":"Never","policy":"Never"}}`, Problems{{DuplicateKey, "restart", "policy", "policy is set twice", "Keep one"}}},
		"an unknown field":          {`{"restart":{"polcy":"Never"}}`, Problems{{UnknownField, "restart", "polcy", `"polcy" is not a known field`, "Use one of policy, rules"}}},
		"a field of a rule": {
			`{"restart":{"policy":"Never","rules":[{"action":"Restart","codes":[1]}]}}`,
			Problems{{UnknownField, "restart", "codes", `rules: [0]: "codes" is not a known field`, "Use one of action, exitCodes"}},
		},
		"a code that is no number": {
			`{"restart":{"policy":"Never","rules":[{"action":"Restart","exitCodes":{"operator":"In","values":["x"]}}]}}`,
			Problems{{InvalidValue, "restart", "x", `rules: [0]: exitCodes: values: [0]: "x" is not a whole number`, ""}},
		},
	})
}
