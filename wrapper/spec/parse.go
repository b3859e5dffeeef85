package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Parse parses a spec from JSON and fills in the defaults. Keys are
// case-sensitive, unknown and repeated keys are mistakes, and scalars may be
// strings. The error is a Problems that lists every problem. With an error, the
// spec contains what could be parsed, which is useful only for finding further
// problems.
func Parse(text string) (Spec, error) { return parse(text, false) }

// ParseWish is Parse for a spec whose dependencies may contain AllOthers. The
// names of containers must replace it before a wrapper reads the spec.
func ParseWish(text string) (Spec, error) { return parse(text, true) }

func parse(text string, allOthers bool) (Spec, error) {
	members, err := decodeObject(text)
	if err != nil {
		return Default(), problemsOf(err)
	}
	if err := checkVersion(members); err != nil {
		return Default(), in("version", err)
	}
	s := Default()
	p := parser{spec: &s, given: make([]given, 0, len(members)), allOthers: allOthers}
	for _, m := range members {
		p.member(m.key, m.value)
	}
	p.check()
	if len(p.problems) > 0 {
		return s, p.problems
	}
	return s, nil
}

// parser collects a spec and its problems.
type parser struct {
	spec     *Spec
	given    []given
	problems Problems

	allOthers bool // dependencies may contain AllOthers
}

// given is a field and the key under which it was set.
type given struct{ field, key string }

// keyOf returns the key under which a field was set.
func (p *parser) keyOf(field string) (key string, found bool) {
	for _, g := range p.given { // only a few: a map would cost more
		if g.field == field {
			return g.key, true
		}
	}
	return "", false
}

// aliases maps HBT koordinator's field names to koordinator's.
var aliases = map[string]string{
	"termSignal":                  "stopSignal",
	"termTimeout":                 "stopTimeout",
	"killedByStopDepExitCode":     "killedExitCode",
	"terminatedByStopDepExitCode": "stoppedExitCode",
}

// fields contains a function for each known member that parses it into the
// spec.
var fields = map[string]func(*Spec, json.RawMessage) error{
	"version":     func(*Spec, json.RawMessage) error { return nil }, // checkVersion has parsed it
	"startDeps":   parseStartDeps,
	"stopDeps":    func(s *Spec, v json.RawMessage) (err error) { s.StopDeps, err = parseDeps(v, stopDep); return },
	"envFiles":    func(s *Spec, v json.RawMessage) error { return parseEnvFiles(v, &s.EnvFiles) },
	"restartWith": func(s *Spec, v json.RawMessage) error { return parseNames(v, &s.RestartWith) },
	"readyWhen": func(s *Spec, v json.RawMessage) error {
		return parseOneOf(v, &s.ReadyWhen, ReadyByProbes, ReadyByNotice)
	},
	"stopWhen":     func(s *Spec, v json.RawMessage) error { return parseOneOf(v, &s.StopWhen, StopAny, StopAll) },
	"startTimeout": func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.StartTimeout) },
	"onStartTimeout": func(s *Spec, v json.RawMessage) error {
		return parseOneOf(v, &s.OnStartTimeout, TimeoutFail, TimeoutStart)
	},
	"stopDelay":         func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.StopDelay) },
	"stopTimeout":       func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.StopTimeout) },
	"stopSignal":        func(s *Spec, v json.RawMessage) error { return parseSignal(v, &s.StopSignal) },
	"stopHTTP":          func(s *Spec, v json.RawMessage) error { return parseRequest(v, &s.StopHTTP) },
	"exitHTTP":          func(s *Spec, v json.RawMessage) error { return parseRequests(v, &s.ExitHTTP) },
	"stoppedExitCode":   func(s *Spec, v json.RawMessage) error { return parseExitCode(v, &s.StoppedExitCode) },
	"killedExitCode":    func(s *Spec, v json.RawMessage) error { return parseExitCode(v, &s.KilledExitCode) },
	"whenStopDepExited": func(s *Spec, v json.RawMessage) error { return parseWhenStopDepExited(v, &s.DependencySignal) },
	"mode":              func(s *Spec, v json.RawMessage) error { return parseOneOf(v, &s.Mode, Supervise, ExecMode) },
	"logLevel":          func(s *Spec, v json.RawMessage) error { return parseOneOf(v, &s.LogLevel, "error", "info", "debug") },
	"source": func(s *Spec, v json.RawMessage) error {
		return parseOneOf(v, &s.Source, SourceAuto, SourcePod, SourceLocal)
	},

	"container":     func(s *Spec, v json.RawMessage) error { return parseText(v, &s.Container) },
	"wrapped":       func(s *Spec, v json.RawMessage) error { return parseTexts(v, &s.Wrapped) },
	"restart":       func(s *Spec, v json.RawMessage) error { return parseRestart(v, &s.Restart) },
	"holdFor":       func(s *Spec, v json.RawMessage) error { return parseTexts(v, &s.HoldFor) },
	"gracePeriod":   func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.GracePeriod) },
	"probeGrace":    func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.ProbeGrace) },
	"readyProbes":   func(s *Spec, v json.RawMessage) error { return strict(v, &s.ReadyProbes) },
	"startupProbe":  func(s *Spec, v json.RawMessage) error { return strict(v, &s.StartupProbe) },
	"livenessDelay": func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.LivenessDelay) },
	"liveness":      func(s *Spec, v json.RawMessage) error { return strict(v, &s.Liveness) },
	"readiness":     func(s *Spec, v json.RawMessage) error { return strict(v, &s.Readiness) },
	"environ":       func(s *Spec, v json.RawMessage) error { return strict(v, &s.Environ) },
	"postStart":     func(s *Spec, v json.RawMessage) error { return strict(v, &s.PostStart) },
	"preStop":       func(s *Spec, v json.RawMessage) error { return strict(v, &s.PreStop) },
	"requestSignal": func(s *Spec, v json.RawMessage) error { return parseRequestSignal(v, &s.RequestSignal) },
	"messagePath":   func(s *Spec, v json.RawMessage) (err error) { s.MessagePath, err = scalar(v); return },
	"commands":      func(s *Spec, v json.RawMessage) error { return strict(v, &s.Commands) },

	"readyEndpoints": func(s *Spec, v json.RawMessage) error { return parseReadyEndpoints(v, &s.ReadyEndpoints) },
	"delegated":      func(s *Spec, v json.RawMessage) error { return parseDelegations(v, &s.Delegated) },
}

func (p *parser) member(key string, value json.RawMessage) {
	field := key
	if a, ok := aliases[key]; ok {
		field = a
	}
	read, ok := fields[field]
	if !ok {
		p.add(key, UnknownField, key, "Use one of "+strings.Join(slices.Sorted(maps.Keys(fields)), ", "), "a spec has no field of this name")
		return
	}
	if before, twice := p.keyOf(field); twice {
		if before == key {
			p.add(key, DuplicateKey, key, "Keep one", "the field is set twice")
		} else {
			p.add(key, GivenTwice, key, "Keep one", "%q and %q are two names of one field", before, key)
		}
		return
	}
	p.given = append(p.given, given{field, key})
	var err error
	switch key {
	case "terminatedByStopDepExitCode":
		err = parseHBTExitCode(value, &p.spec.StoppedExitCode)
	default:
		err = read(p.spec, value)
	}
	if err != nil {
		p.problems = append(p.problems, in(key, err)...)
	}
}

// IsName reports whether Kubernetes accepts s as a container's name, which is a
// DNS label (RFC 1123). It does not reject "".
func IsName(s string) bool {
	return len(s) <= 63 && strings.Trim(s, "-") == s &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (p *parser) add(field string, code Code, value, remedy, format string, args ...any) {
	p.problems = append(p.problems, Problem{Code: code, Field: field, Value: value, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// member is one key of a JSON object with its undecoded value.
type member struct {
	key   string
	value json.RawMessage
}

// decodeObject splits a JSON object into its members. It keeps their order and
// repeated keys, and rejects anything after the object.
func decodeObject(text string) ([]member, error) {
	if members, ok := splitObject(text); ok {
		return members, nil
	}
	return decodeAnyObject(text)
}

// decodeAnyObject is decodeObject for arbitrary text.
func decodeAnyObject(text string) ([]member, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	open, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, wrong(WrongForm, "", "Write a JSON object, at least {}", "it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if open != json.Delim('{') {
		return nil, wrong(WrongForm, "", "Write {…}", "%.40s is not a JSON object", text)
	}
	var members []member
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("not JSON at %q: %w", key, err)
		}
		members = append(members, member{key.(string), value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, wrong(WrongForm, "", "Remove what follows it", "there is more than one JSON object")
	}
	return members, nil
}

// scalar returns the content of a string, or the text of a number or boolean.
func scalar(v json.RawMessage) (string, error) {
	v = bytes.TrimSpace(v)
	var s string
	switch {
	case len(v) == 0 || v[0] == '{' || v[0] == '[' || string(v) == "null":
		return "", wrong(WrongForm, string(v), "Write one value", "%.40s is not a single value", v)
	case v[0] != '"':
		return string(v), nil
	}
	if s, plain := plainString(v); plain {
		return s, nil
	}
	err := json.Unmarshal(v, &s)
	return s, err
}

func parseText(v json.RawMessage, to *string) error {
	s, err := scalar(v)
	if err == nil && s == "" {
		err = wrong(InvalidValue, "", "Set a value, or remove the field", "it is empty")
	}
	*to = s
	return err
}

// parseTexts parses a list of strings.
func parseTexts(v json.RawMessage, to *[]string) error {
	if string(bytes.TrimSpace(v)) == "null" {
		return wrong(WrongForm, "null", "Set a value, or remove the field", "null is not a value")
	}
	return strict(v, to)
}

func parseDuration(v json.RawMessage, to *time.Duration) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return wrong(InvalidDuration, s, "Write a number with a unit, for example 10s, 500ms or 1m30s", "%q is not a duration", s)
	case s == "0" || s == "-0" || s == "+0":
		return wrong(InvalidDuration, s, "Write 0s", "%q has no unit", s)
	case d < 0:
		return negative(s)
	}
	*to = d
	return nil
}

// negative returns the problem with a negative duration.
func negative(text string) error {
	return wrong(InvalidDuration, text, "Set 0s or more", "%q is negative", text)
}

// parseOneOf parses one of a few words.
func parseOneOf[T ~string](v json.RawMessage, to *T, known ...T) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	if !slices.Contains(known, T(s)) {
		words := make([]string, len(known))
		for i, k := range known {
			words[i] = string(k)
		}
		return wrong(UnknownWord, s, "Use one of "+strings.Join(words, ", "), "%q is not a valid value", s)
	}
	*to = T(s)
	return nil
}
