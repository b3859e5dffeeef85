package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check returns the problems of a spec that was not parsed from text: those in
// the fields that the webhook takes from the pod, and those that concern
// several fields.
func (s Spec) Check() Problems {
	p := parser{spec: &s}
	p.check()
	return p.problems
}

// check finds the problems that parsing a single field cannot find.
func (p *parser) check() {
	p.checkTaken()
	p.spec.StartDeps = p.checkDeps("startDeps", p.spec.StartDeps)
	p.spec.StopDeps = p.checkDeps("stopDeps", p.spec.StopDeps)
	for _, list := range []struct {
		field string
		names []string
	}{{"wrapped", p.spec.Wrapped}, {"holdFor", p.spec.HoldFor}} {
		for _, name := range list.names {
			if !IsName(name) || name == "" || name == p.spec.Container {
				p.add(list.field, InvalidValue, name, "", "%q is not the name of another container", name)
			}
		}
	}
	p.checkEndpoints()
	p.checkDelegated()
	p.checkMode()
	p.checkEnvFiles()
	p.checkRestartWith()
	if p.spec.StopTimeout == 0 {
		key, _ := p.keyOf("stopTimeout")
		p.add(cmp.Or(key, "stopTimeout"), NoStopTimeout, "0s", "Set 1s or more", "0s would kill the command before it can stop")
	}
}

// checkTaken finds the problems in the fields that come from the pod: probes,
// hooks, times and the message path.
func (p *parser) checkTaken() {
	problem := func(field string, err error) {
		known := func(k Problem) bool { return k.Field == field } // found while parsing; that problem is more specific
		if err != nil && !slices.ContainsFunc(p.problems, known) {
			p.problems = append(p.problems, in(field, err)...)
		}
	}
	s := p.spec
	var unready Problems
	for i, probe := range s.ReadyProbes {
		if err := probe.check(); err != nil {
			unready = append(unready, problemsOf(within(fmt.Sprintf("[%d]", i), err))...)
		}
	}
	problem("readyProbes", join(unready))
	for _, f := range []struct {
		field string
		probe *Probe
	}{{"startupProbe", s.StartupProbe}, {"liveness", s.Liveness}, {"readiness", s.Readiness}} {
		if f.probe != nil {
			problem(f.field, f.probe.check())
		}
	}
	for _, f := range []struct {
		field string
		hook  *Handler
	}{{"postStart", s.PostStart}, {"preStop", s.PreStop}} {
		if f.hook != nil {
			problem(f.field, f.hook.checkHook())
		}
	}
	for _, f := range []struct {
		field string
		time  time.Duration
	}{{"gracePeriod", s.GracePeriod}, {"probeGrace", s.ProbeGrace}, {"livenessDelay", s.LivenessDelay}} {
		if f.time < 0 {
			problem(f.field, negative(f.time.String()))
		}
	}
	if s.Restart.Policy != "" {
		problem("restart", s.Restart.Check())
	}
	if !strings.HasPrefix(s.MessagePath, "/") {
		problem("messagePath", wrong(InvalidPath, s.MessagePath, "Begin it with /", "%q is not an absolute path", s.MessagePath))
	}
}

// checkDeps finds invalid names in a list of dependencies and returns the list
// without them.
func (p *parser) checkDeps(field string, deps []Dependency) []Dependency {
	var good []Dependency
	seen := map[string]bool{}
	for _, d := range deps {
		switch {
		case d.Container == "": // reported already
		case !IsName(d.Container) && (!p.allOthers || d.Container != AllOthers):
			p.add(field, InvalidDependency, d.Container, `Use lowercase letters, digits and "-"`, "%q is not a container name", d.Container)
		case d.Container == p.spec.Container:
			p.add(field, OnItself, d.Container, "Remove the dependency", "container %q cannot depend on itself", d.Container)
		case seen[d.Container]:
			p.add(field, NamedTwice, d.Container, "Keep one condition", "container %q is listed twice", d.Container)
		default:
			good = append(good, d)
		}
		seen[d.Container] = true
	}
	return good
}

// checkMode finds the fields that exec mode does not support, because the
// command replaces the wrapper.
func (p *parser) checkMode() {
	if p.spec.Mode != ExecMode {
		return
	}
	for _, need := range []struct {
		field string
		given bool
	}{
		{"stopDeps", len(p.spec.StopDeps) > 0},
		{"restartWith", len(p.spec.RestartWith) > 0},
		{"readyWhen", p.spec.ReadyWhen == ReadyByNotice},
		{"stopDelay", p.spec.StopDelay > 0},
		{"stopSignal", p.spec.StopSignal != 0},
		{"exitHTTP", len(p.spec.ExitHTTP) > 0},
		{"holdFor", len(p.spec.HoldFor) > 0},
		{"delegated", len(p.spec.Delegated) > 0},
		{"postStart", p.spec.PostStart != nil},
		{"readyProbes", len(p.spec.ReadyProbes) > 0},
	} {
		if need.given {
			p.add(need.field, ExecImpossible, "", "Remove it, or the mode", "mode exec does not support this field, because the command replaces the wrapper")
		}
	}
}
