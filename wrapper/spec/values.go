package spec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// kind distinguishes start and stop dependencies: their default condition, and
// what they accept.
type kind struct {
	fallback   Condition
	conditions []Condition
	optional   bool
}

var (
	startDep = kind{Ready, []Condition{Started, Ready, Exited, Succeeded}, true}
	stopDep  = kind{Exited, []Condition{Exited, Succeeded, Failed}, false}
)

// parseDeps parses "a, b=succeeded", or a list of such names and of objects
// {container, condition, optional}.
func parseDeps(v json.RawMessage, k kind) ([]Dependency, error) {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || v[0] != '[' {
		text, err := scalar(v)
		if err != nil {
			return nil, wrong(WrongForm, "", "Write a container, several containers separated by commas, or a list", "%.40s is not a list of dependencies", v)
		}
		return parseDepList(text, k)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return nil, err
	}
	var deps []Dependency
	var errs Problems
	for i, item := range items {
		d, err := parseDepItem(item, k)
		if err != nil {
			errs = append(errs, problemsOf(within(fmt.Sprintf("[%d]", i), err))...)
			continue
		}
		deps = append(deps, d)
	}
	return deps, join(errs)
}

// parseDepList parses the comma-separated form.
func parseDepList(text string, k kind) ([]Dependency, error) {
	var deps []Dependency
	var errs Problems
	for part := range strings.SplitSeq(text, ",") {
		d, err := parseDep(part, k)
		if err != nil {
			errs = append(errs, problemsOf(err)...)
			continue
		}
		deps = append(deps, d)
	}
	return deps, join(errs)
}

func parseDepItem(v json.RawMessage, k kind) (Dependency, error) {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || v[0] != '{' {
		text, err := scalar(v)
		if err != nil {
			return Dependency{}, err
		}
		return parseDep(text, k)
	}
	members, err := decodeObject(string(v))
	if err != nil {
		return Dependency{}, err
	}
	d := Dependency{Condition: k.fallback}
	seen := map[string]bool{}
	var errs Problems
	for _, m := range members {
		text, err := scalar(m.value)
		switch {
		case seen[m.key]:
			err = wrong(DuplicateKey, m.key, "Keep one", "the field is set twice")
		case err != nil:
		case m.key == "container":
			d.Container = text
		case m.key == "endpoint":
			e, wrong := k.endpoint(text)
			d.Container, err = e.Container, wrong
			if !seen["optional"] { // the field takes precedence over the question mark
				d.Optional = e.Optional
			}
		case m.key == "condition":
			d.Condition, err = k.condition(text)
		case m.key == "optional":
			d.Optional, err = k.parseOptional(text)
		default:
			err = wrong(UnknownField, m.key, "Use container, endpoint, condition or optional", "a dependency has no field of this name")
		}
		seen[m.key] = true
		if err != nil {
			errs = append(errs, problemsOf(within(m.key, err))...)
		}
	}
	switch {
	case seen["endpoint"] && (seen["container"] || seen["condition"]):
		errs = append(errs, problemsOf(wrong(InvalidEndpoint, "", "Remove the container and the condition, or the endpoint", "an endpoint has neither a container nor a condition"))...)
	case !seen["endpoint"] && IsEndpoint(d.Container):
		errs = append(errs, problemsOf(wrong(InvalidEndpoint, "", `Set endpoint instead`, "container names a %s:// endpoint", Scheme(d.Container)))...)
	case d.Container == "" && !seen["endpoint"]:
		errs = append(errs, problemsOf(wrong(InvalidDependency, "", `Set container, for example {"container": "proxy"}`, "a dependency names no container"))...)
	}
	return d, join(errs)
}

// parseDep parses name, name=condition, name? or name=condition?.
func parseDep(text string, k kind) (Dependency, error) {
	d := Dependency{Condition: k.fallback}
	text = strings.TrimSpace(text)
	if IsEndpoint(text) {
		return k.endpoint(text)
	}
	rest, optional := strings.CutSuffix(text, "?")
	name, condition, found := strings.Cut(rest, "=")
	if n, ok := strings.CutSuffix(name, "?"); ok && found { // name?=condition
		name, optional = n, true
	}
	d.Container = strings.TrimSpace(name)
	if d.Container == "" {
		return d, wrong(InvalidDependency, text, "Write NAME or NAME=CONDITION", "%q names no container", text)
	}
	if optional && !k.optional {
		return d, wrong(OptionalStop, text, `Remove the "?"`, "%q: a stop dependency cannot be optional", text)
	}
	d.Optional = optional
	if !found {
		return d, nil
	}
	c, err := k.condition(strings.TrimSpace(condition))
	if err != nil {
		return d, within(strconv.Quote(text), err)
	}
	d.Condition = c
	return d, nil
}

func (k kind) condition(s string) (Condition, error) {
	if slices.Contains(k.conditions, Condition(s)) {
		return Condition(s), nil
	}
	names := make([]string, len(k.conditions))
	for i, c := range k.conditions {
		names[i] = string(c)
	}
	return k.fallback, wrong(UnknownCondition, s, "Use one of "+strings.Join(names, ", "), "%q is not a valid condition", s)
}

func (k kind) parseOptional(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, wrong(UnknownWord, s, "Use true or false", "%q is not a valid value", s)
	}
	if b && !k.optional {
		return false, wrong(OptionalStop, s, "Remove it", "a stop dependency cannot be optional")
	}
	return b, nil
}

func parseSignal(v json.RawMessage, to *syscall.Signal) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	*to, err = ParseSignal(s)
	return err
}

func parseExitCode(v json.RawMessage, to *ExitCode) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	if s == "child" {
		*to = Child
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return wrong(InvalidExitCode, s, `Use 0 to 255, or "child" for the command's own code`, "%q is not an exit code", s)
	}
	*to = ExitCode(n)
	return nil
}

// parseHBTExitCode parses terminatedByStopDepExitCode, in which a negative
// number means the command's own code.
func parseHBTExitCode(v json.RawMessage, to *ExitCode) error {
	s, err := scalar(v)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(s); err == nil && n < 0 {
		*to = Child
		return nil
	}
	return parseExitCode(v, to)
}

// parseRequestSignal parses a signal that the wrapper must be able to receive.
// The Go runtime and the C library use some signals for themselves.
func parseRequestSignal(v json.RawMessage, to *syscall.Signal) error {
	if err := parseSignal(v, to); err != nil {
		return err
	}
	switch *to {
	case SIGCHLD, SIGURG, syscall.SIGPIPE, SIGPROF, 32, 33, sigRTMin:
		return wrong(InvalidSignal, SignalName(*to), "Use another stop signal for the container, for example SIGTERM", "koordinator cannot receive %s as a stop signal", SignalName(*to))
	}
	return nil
}

// parseWhenStopDepExited parses HBT koordinator's {"signal": N}, with 9 to
// kill. Its {"http": "get"} has neither a port nor a path, and is therefore
// rejected.
func parseWhenStopDepExited(v json.RawMessage, to *syscall.Signal) error {
	members, err := decodeObject(string(v))
	if err != nil {
		return err
	}
	if len(members) != 1 || members[0].key != "signal" {
		return wrong(WrongForm, "", `Write {"signal": N}, or for an HTTP request the field stopHTTP, for example "POST http://127.0.0.1:15020/quitquitquit"`, "%.60s is not a signal", v)
	}
	if text, err := scalar(members[0].value); err == nil && text == "9" {
		*to = syscall.SIGKILL
		return nil
	}
	return parseSignal(members[0].value, to)
}
