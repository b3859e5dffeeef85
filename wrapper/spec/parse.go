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

// Problem is one mistake in a spec: the field as written in the JSON, and what
// is wrong with it and how to mend it.
type Problem struct {
	Field string // "" when it is not about one field
	Text  string
}

// Problems are all mistakes of one spec.
type Problems []Problem

// Error lists the problems, "; " between them.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, one := range p {
		texts[i] = one.Text
		if one.Field != "" {
			texts[i] = one.Field + ": " + one.Text
		}
	}
	return strings.Join(texts, "; ")
}

// Parse reads a spec as JSON and fills in the defaults. Keys are exact, an
// unknown or repeated one is a mistake, and scalars may be given as strings.
// The error is a Problems with everything that is wrong; the spec is then what
// could be read, good only for finding more that is wrong.
func Parse(text string) (Spec, error) {
	members, err := decodeObject(text)
	if err != nil {
		return Default(), Problems{{Text: err.Error()}}
	}
	s := Default()
	p := parser{spec: &s, given: make([]given, 0, len(members))}
	for _, m := range members {
		p.member(m.key, m.value)
	}
	p.check()
	if len(p.problems) > 0 {
		return s, p.problems
	}
	return s, nil
}

// parser collects a spec and what is wrong with it.
type parser struct {
	spec     *Spec
	given    []given
	problems Problems
}

// given is a field and the key it was given under.
type given struct{ field, key string }

// keyOf is the key that a field was given under.
func (p *parser) keyOf(field string) (key string, found bool) {
	for _, g := range p.given { // a few: a map would cost more
		if g.field == field {
			return g.key, true
		}
	}
	return "", false
}

// aliases are HBT koordinator's names for our fields.
var aliases = map[string]string{
	"termSignal":                  "stopSignal",
	"termTimeout":                 "stopTimeout",
	"killedByStopDepExitCode":     "killedExitCode",
	"terminatedByStopDepExitCode": "stoppedExitCode",
}

// fields reads each known member into the spec.
var fields = map[string]func(*Spec, json.RawMessage) error{
	"version":      func(_ *Spec, v json.RawMessage) error { return parseVersion(v) },
	"startDeps":    func(s *Spec, v json.RawMessage) (err error) { s.StartDeps, err = parseDeps(v, startDep); return },
	"stopDeps":     func(s *Spec, v json.RawMessage) (err error) { s.StopDeps, err = parseDeps(v, stopDep); return },
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
	"readyProbes":   func(s *Spec, v json.RawMessage) (err error) { s.ReadyProbes, err = parseProbes(v); return },
	"startupProbe":  func(s *Spec, v json.RawMessage) (err error) { s.StartupProbe, err = parseProbe(v); return },
	"livenessDelay": func(s *Spec, v json.RawMessage) error { return parseDuration(v, &s.LivenessDelay) },
	"liveness":      func(s *Spec, v json.RawMessage) (err error) { s.Liveness, err = parseProbe(v); return },
	"readiness":     func(s *Spec, v json.RawMessage) (err error) { s.Readiness, err = parseProbe(v); return },
	"environ":       func(s *Spec, v json.RawMessage) error { return strict(v, &s.Environ) },
	"postStart":     func(s *Spec, v json.RawMessage) (err error) { s.PostStart, err = parseHandler(v); return },
	"preStop":       func(s *Spec, v json.RawMessage) (err error) { s.PreStop, err = parseHandler(v); return },
	"requestSignal": func(s *Spec, v json.RawMessage) error { return parseRequestSignal(v, &s.RequestSignal) },
	"messagePath":   func(s *Spec, v json.RawMessage) error { return parsePath(v, &s.MessagePath) },
	"commands":      func(s *Spec, v json.RawMessage) error { return strict(v, &s.Commands) },
}

func (p *parser) member(key string, value json.RawMessage) {
	field := key
	if a, ok := aliases[key]; ok {
		field = a
	}
	read, ok := fields[field]
	if !ok {
		p.add(key, "unknown field (known: %s)", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		return
	}
	if before, twice := p.keyOf(field); twice {
		if before == key {
			p.add(key, "given twice: keep one")
		} else {
			p.add(key, "%q and %q are two names of one field: keep one", before, key)
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
		p.add(key, "%v", err)
	}
}

// check finds what no single field can show.
func (p *parser) check() {
	p.spec.StartDeps = p.checkDeps("startDeps", p.spec.StartDeps)
	p.spec.StopDeps = p.checkDeps("stopDeps", p.spec.StopDeps)
	for _, list := range []struct {
		field string
		names []string
	}{{"wrapped", p.spec.Wrapped}, {"holdFor", p.spec.HoldFor}} {
		for _, name := range list.names {
			if !IsName(name) || name == "" || name == p.spec.Container {
				p.add(list.field, "%q is not the name of another container", name)
			}
		}
	}
	p.checkMode()
	if p.spec.StopTimeout == 0 {
		key, _ := p.keyOf("stopTimeout")
		p.add(key, "0s would kill the command before it can end: give it some time, as 1s")
	}
}

// checkDeps finds wrong names in a list of dependencies, and leaves them out.
func (p *parser) checkDeps(field string, deps []Dependency) []Dependency {
	var good []Dependency
	seen := map[string]bool{}
	for _, d := range deps {
		switch {
		case d.Container == "": // said already
		case !IsName(d.Container):
			p.add(field, "%q is no container name: a name has lower-case letters, digits and - only", d.Container)
		case d.Container == p.spec.Container:
			p.add(field, "container %q cannot depend on itself: remove it", d.Container)
		case seen[d.Container]:
			p.add(field, "container %q is named twice: keep one condition", d.Container)
		default:
			good = append(good, d)
		}
		seen[d.Container] = true
	}
	return good
}

// checkMode finds what a command that has taken the wrapper's place cannot have.
func (p *parser) checkMode() {
	if p.spec.Mode != ExecMode {
		return
	}
	for _, need := range []struct {
		field string
		given bool
	}{
		{"stopDeps", len(p.spec.StopDeps) > 0},
		{"stopDelay", p.spec.StopDelay > 0},
		{"stopSignal", p.spec.StopSignal != 0},
		{"exitHTTP", len(p.spec.ExitHTTP) > 0},
		{"holdFor", len(p.spec.HoldFor) > 0},
		{"postStart", p.spec.PostStart != nil},
		{"readyProbes", len(p.spec.ReadyProbes) > 0},
	} {
		if need.given {
			p.add(need.field, "mode exec leaves nobody to see to it: remove it, or the mode")
		}
	}
}

// IsName tells whether Kubernetes would take s as a container's name, a DNS
// label (RFC 1123).
func IsName(s string) bool {
	return len(s) <= 63 && strings.Trim(s, "-") == s &&
		strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (p *parser) add(field, format string, args ...any) {
	p.problems = append(p.problems, Problem{Field: field, Text: fmt.Sprintf(format, args...)})
}

// member is one key of a JSON object with its undecoded value.
type member struct {
	key   string
	value json.RawMessage
}

// decodeObject splits a JSON object into its members, in order and with
// repeated keys kept, and accepts nothing behind it.
func decodeObject(text string) ([]member, error) {
	if members, ok := splitObject(text); ok {
		return members, nil
	}
	return decodeAnyObject(text)
}

// decodeAnyObject is decodeObject for whatever text, also such that is no JSON
// object.
func decodeAnyObject(text string) ([]member, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	open, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("empty: want a JSON object, at least {}")
	}
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if open != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object {…}, have %.40s", text)
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
		return nil, errors.New("something follows the JSON object: remove it")
	}
	return members, nil
}

// scalar is a string as it is, a number or boolean as it is written.
func scalar(v json.RawMessage) (string, error) {
	v = bytes.TrimSpace(v)
	var s string
	switch {
	case len(v) == 0 || v[0] == '{' || v[0] == '[' || string(v) == "null":
		return "", fmt.Errorf("want a single value, have %.40s", v)
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
		err = errors.New("empty: give a value or leave the field out")
	}
	*to = s
	return err
}

// parseTexts reads a list of strings.
func parseTexts(v json.RawMessage, to *[]string) error {
	if string(bytes.TrimSpace(v)) == "null" {
		return errors.New("want a value, have null")
	}
	return json.Unmarshal(v, to)
}

func parsePath(v json.RawMessage, to *string) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%q is no absolute path: begin it with /", s)
	}
	*to = s
	return nil
}

func parseVersion(v json.RawMessage) error {
	s, err := scalar(v)
	if err == nil && s != fmt.Sprint(Version) {
		err = fmt.Errorf("version %s is not known to this koordinator (it reads version %d): let the webhook and the wrapper image be of the same release", s, Version)
	}
	return err
}

func parseDuration(v json.RawMessage, to *time.Duration) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration: write a number with a unit, as 10s, 500ms or 1m30s", s)
	case s == "0" || s == "-0" || s == "+0":
		return fmt.Errorf("%q has no unit: write 0s", s)
	case d < 0:
		return fmt.Errorf("%q is negative: a duration is 0s or more", s)
	}
	*to = d
	return nil
}

// parseOneOf reads one of a few words.
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
		return fmt.Errorf("%q is not known (one of %s)", s, strings.Join(words, ", "))
	}
	*to = T(s)
	return nil
}
