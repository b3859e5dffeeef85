package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// kind tells start from stop dependencies: what they default to and take.
type kind struct {
	fallback   Condition
	conditions []Condition
	optional   bool
}

var (
	startDep = kind{Ready, []Condition{Started, Ready, Exited, Succeeded}, true}
	stopDep  = kind{Exited, []Condition{Exited, Succeeded, Failed}, false}
)

// parseDeps reads "a, b=succeeded", or a list of such names and of objects
// {container, condition, optional}.
func parseDeps(v json.RawMessage, k kind) ([]Dependency, error) {
	v = bytes.TrimSpace(v)
	if len(v) == 0 || v[0] != '[' {
		text, err := scalar(v)
		if err != nil {
			return nil, fmt.Errorf("want a container, a comma-separated text or a list, have %.40s", v)
		}
		return parseDepList(text, k)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(v, &items); err != nil {
		return nil, err
	}
	var deps []Dependency
	var errs []string
	for i, item := range items {
		d, err := parseDepItem(item, k)
		if err != nil {
			errs = append(errs, fmt.Sprintf("[%d]: %v", i, err))
			continue
		}
		deps = append(deps, d)
	}
	return deps, join(errs)
}

// parseDepList reads the comma-separated form.
func parseDepList(text string, k kind) ([]Dependency, error) {
	var deps []Dependency
	var errs []string
	for part := range strings.SplitSeq(text, ",") {
		d, err := parseDep(part, k)
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		deps = append(deps, d)
	}
	return deps, join(errs)
}

func join(texts []string) error {
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
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
	var errs []string
	for _, m := range members {
		text, err := scalar(m.value)
		switch {
		case seen[m.key]:
			err = errors.New("given twice: keep one")
		case err != nil:
		case m.key == "container":
			d.Container = text
		case m.key == "condition":
			d.Condition, err = k.condition(text)
		case m.key == "optional":
			d.Optional, err = k.parseOptional(text)
		default:
			err = errors.New("unknown field (known: condition, container, optional)")
		}
		seen[m.key] = true
		if err != nil {
			errs = append(errs, m.key+": "+err.Error())
		}
	}
	if d.Container == "" {
		errs = append(errs, `container: missing: name the container, as {"container": "proxy"}`)
	}
	return d, join(errs)
}

// parseDep reads name, name=condition, name? or name=condition?.
func parseDep(text string, k kind) (Dependency, error) {
	d := Dependency{Condition: k.fallback}
	text = strings.TrimSpace(text)
	rest, optional := strings.CutSuffix(text, "?")
	name, condition, found := strings.Cut(rest, "=")
	if n, ok := strings.CutSuffix(name, "?"); ok && found { // name?=condition
		name, optional = n, true
	}
	d.Container = strings.TrimSpace(name)
	if d.Container == "" {
		return d, fmt.Errorf("no container named in %q: write name or name=condition", text)
	}
	if optional && !k.optional {
		return d, fmt.Errorf("%q: a stop dependency cannot be optional: remove the ?", text)
	}
	d.Optional = optional
	if !found {
		return d, nil
	}
	c, err := k.condition(strings.TrimSpace(condition))
	if err != nil {
		return d, fmt.Errorf("%q: %w", text, err)
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
	return k.fallback, fmt.Errorf("unknown condition %q (one of %s)", s, strings.Join(names, ", "))
}

func (k kind) parseOptional(s string) (bool, error) {
	b, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	if b && !k.optional {
		return false, errors.New("a stop dependency cannot be optional: remove it")
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
		return fmt.Errorf(`%q is not an exit code: write 0–255, or "child" for the command's own`, s)
	}
	*to = ExitCode(n)
	return nil
}

// parseHBTExitCode reads terminatedByStopDepExitCode, where a negative number
// means the command's own code.
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

// parseRequestSignal reads a signal that the wrapper has to hear, which the Go
// runtime and the C library allow for most only.
func parseRequestSignal(v json.RawMessage, to *syscall.Signal) error {
	if err := parseSignal(v, to); err != nil {
		return err
	}
	switch *to {
	case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE, syscall.SIGPROF, 32, 33, sigRTMin:
		return fmt.Errorf("koordinator cannot be asked to stop by %s: choose another stop signal for the container, as SIGTERM", SignalName(*to))
	}
	return nil
}

// parseWhenStopDepExited reads HBT koordinator's {"signal": N}, with 9 to kill.
// Its {"http": "get"} names neither port nor path, in HBT koordinator too.
func parseWhenStopDepExited(v json.RawMessage, to *syscall.Signal) error {
	members, err := decodeObject(string(v))
	if err != nil {
		return err
	}
	if len(members) != 1 || members[0].key != "signal" {
		return fmt.Errorf(`want {"signal": N}, have %.60s (for an HTTP request give "stopHTTP" instead, as "POST http://127.0.0.1:15020/quitquitquit")`, v)
	}
	if text, err := scalar(members[0].value); err == nil && text == "9" {
		*to = syscall.SIGKILL
		return nil
	}
	return parseSignal(members[0].value, to)
}
