package spec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestEveryKnownVersionIsRead(t *testing.T) {
	for _, text := range []string{`{}`, `{"version":1}`, `{"version":"1"}`, `{"version":2}`} {
		if _, err := spec.Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestASpecWithoutNewFieldsIsWrittenInTheFirstVersion(t *testing.T) {
	s := spec.Default()
	s.StartDeps = []spec.Dependency{{Container: "db", Condition: spec.Ready}}
	if got := s.Encode(); !strings.HasPrefix(got, `{"version":1,`) {
		t.Errorf("written as %s: a wrapper of the first release refuses it", got)
	}
}

func TestEveryKnownVersionIsWrittenAsTextOrNumber(t *testing.T) {
	for _, text := range []string{`{"version":1}`, `{"version":2}`, `{"version":"2"}`, `{"stopDelay":"1s","version":2}`} {
		if _, err := spec.Parse(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	const remedy = "Use a webhook and a wrapper image of the same release"
	for text, want := range map[string]spec.Problem{
		`{"version":0}`:                     {Code: spec.UnknownVersion, Field: "version", Value: "0", Text: "this koordinator reads spec versions 1 to 2, not 0", Remedy: remedy},
		`{"version":3}`:                     {Code: spec.UnknownVersion, Field: "version", Value: "3", Text: "this koordinator reads spec versions 1 to 2, not 3", Remedy: remedy},
		`{"version":"v1"}`:                  {Code: spec.UnknownVersion, Field: "version", Value: "v1", Text: "this koordinator reads spec versions 1 to 2, not v1", Remedy: remedy},
		`{"version":1.0}`:                   {Code: spec.UnknownVersion, Field: "version", Value: "1.0", Text: "this koordinator reads spec versions 1 to 2, not 1.0", Remedy: remedy},
		`{"version":""}`:                    {Code: spec.UnknownVersion, Field: "version", Text: "this koordinator reads spec versions 1 to 2, not ", Remedy: remedy},
		`{"version":[1]}`:                   {Code: spec.WrongForm, Field: "version", Value: "[1]", Text: "[1] is not a single value", Remedy: "Write one value"},
		`{"version":null}`:                  {Code: spec.WrongForm, Field: "version", Value: "null", Text: "null is not a single value", Remedy: "Write one value"},
		`{"version":1,"version":1}`:         {Code: spec.DuplicateKey, Field: "version", Value: "version", Text: "the field is set twice", Remedy: "Keep one"},
		`{"version":1,"version":9}`:         {Code: spec.UnknownVersion, Field: "version", Value: "9", Text: "this koordinator reads spec versions 1 to 2, not 9", Remedy: remedy},
		`{"later":{},"mode":7,"version":3}`: {Code: spec.UnknownVersion, Field: "version", Value: "3", Text: "this koordinator reads spec versions 1 to 2, not 3", Remedy: remedy},
	} {
		s, err := spec.Parse(text)
		have, _ := errors.AsType[spec.Problems](err)
		if diff := cmp.Diff(spec.Problems{want}, have); diff != "" {
			t.Errorf("%s (-want +have):\n%s", text, diff)
		}
		if diff := cmp.Diff(spec.Default(), s); diff != "" {
			t.Errorf("%s: fields of an unknown version are read (-default +have):\n%s", text, diff)
		}
	}
}

// TestAFieldOfALaterVersionMarksTheSpec sets each of these fields alone.
func TestAFieldOfALaterVersionMarksTheSpec(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(*spec.Spec)
		want string
	}{
		"an endpoint":       {func(s *spec.Spec) { s.StartEndpoints = make([]spec.Endpoint, 1) }, `{"version":2,`},
		"a ready endpoint":  {func(s *spec.Spec) { s.ReadyEndpoints = map[string]string{"a": ""} }, `{"version":2,`},
		"a delegated stop":  {func(s *spec.Spec) { s.Delegated = make([]spec.Delegation, 1) }, `{"version":2,`},
		"a file":            {func(s *spec.Spec) { s.EnvFiles = make([]spec.EnvFile, 1) }, `{"version":2,`},
		"restartWith":       {func(s *spec.Spec) { s.RestartWith = make([]string, 1) }, `{"version":2,`},
		"readyWhen notify":  {func(s *spec.Spec) { s.ReadyWhen = spec.ReadyByNotice }, `{"version":2,`},
		"readyWhen probes":  {func(s *spec.Spec) { s.ReadyWhen = spec.ReadyByProbes }, `{"version":1,`},
		"no such field set": {func(s *spec.Spec) { s.StopDelay = 1 }, `{"version":1,`},
	} {
		s := spec.Default()
		tt.set(&s)
		if have := s.Encode(); !strings.HasPrefix(have, tt.want) {
			t.Errorf("%s: have %s, want %s", name, have, tt.want)
		}
	}
}
