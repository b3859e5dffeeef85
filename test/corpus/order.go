package corpus

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// prefix is the prefix of koordinator's annotations.
const prefix = "koordinator.io/"

// quote quotes a string in a form that YAML and JSON read in the same way.
func quote(s string) string { return strconv.Quote(s) }

// options lists annotations that some pods have in addition to their order, with the
// percentage of these pods. Target is a participating container.
var options = []struct {
	percent int
	name    string
	value   func(m *maker, target string) string
}{
	{15, "start-timeout", func(m *maker, target string) string { return one(m, "10m", target+": 1h30m", "0s") }},
	{12, "on-start-timeout", func(m *maker, target string) string { return one(m, "start", "fail", target+": start") }},
	{12, "stop-delay", func(m *maker, target string) string { return one(m, "2s", "{"+target+": 500ms}") }},
	{15, "stop-signal", func(m *maker, target string) string {
		return one(m, "SIGINT", target+": SIGRTMIN+3", `{"`+target+`": "15"}`)
	}},
	{15, "stop-timeout", func(m *maker, target string) string { return one(m, "20s", target+": 1m") }},
	{12, "exit-http", func(m *maker, target string) string {
		return target + ": " + one(m, "POST http://localhost:9090/quitquitquit", `["GET http://127.0.0.1/a?$x=$(y)", "PUT http://[::1]:80/b"]`)
	}},
	{12, "stop-when", func(m *maker, target string) string { return one(m, "any", target+": all") }},
	{12, "stopped-exit-code", func(m *maker, target string) string { return one(m, "child", target+": 143") }},
	{12, "killed-exit-code", func(m *maker, target string) string { return one(m, "137", target+": child") }},
	{15, "log-level", func(m *maker, target string) string { return one(m, "debug", "error", target+": info") }},
	{10, "mode", func(_ *maker, target string) string { return target + ": supervise" }},
	{10, "env-file", func(m *maker, target string) string {
		return target + ": " + one(m, "/vault/secrets/env?", `["/a b/c?", {path: /d, optional: true}]`)
	}},
	{6, "ready-when", func(*maker, string) string { return "probes" }},
	{8, "inject", func(*maker, string) string { return "true" }},
}

// order adds koordinator's annotations.
func (m *maker) order() {
	if !m.story.fixed {
		m.addOptions()
	}
	m.ungate()
	m.findSource()
	for key, value := range m.notes {
		m.annotate(prefix+key, value)
	}
}

// addOptions adds some options that the story has not already set.
func (m *maker) addOptions() {
	var taking []string
	for _, r := range m.story.containers {
		if !r.unasked {
			taking = append(taking, r.name)
		}
	}
	for _, o := range options {
		value := o.value(m, one(m, taking...))
		if m.notes[o.name] == "" && m.chance(o.percent) {
			m.notes[o.name] = value
		}
	}
}

// ungate leaves the probes and hooks of some pods unchanged. Such a pod may not have a hook
// that would run before the command.
func (m *maker) ungate() {
	switch {
	case m.chance(6):
		m.notes["gate"] = "true"
	case m.chance(8):
		m.notes["gate"] = one(m, "false", m.pod.Spec.Containers[0].Name+": false")
		for _, c := range m.containers() {
			if c.Lifecycle != nil {
				c.Lifecycle.PostStart = nil
			}
			if c.Lifecycle != nil && *c.Lifecycle == (corev1.Lifecycle{}) {
				c.Lifecycle = nil
			}
		}
	}
}

// findSource sets the source of facts in some pods, and in pods without a token for which
// records alone are not sufficient.
func (m *maker) findSource() {
	if strings.Contains(m.notes["spec"], "source") {
		return
	}
	restarted := slices.ContainsFunc(m.containers(), func(c *corev1.Container) bool { return c.RestartPolicy != nil && m.story.exits })
	local := !m.story.late && !restarted && (!m.story.exits || m.pod.Spec.RestartPolicy == corev1.RestartPolicyNever)
	mount := m.pod.Spec.AutomountServiceAccountToken
	switch {
	case !local && mount != nil && !*mount:
		m.notes["source"] = "pod"
	case local && m.chance(15):
		m.notes["source"] = "local"
	case m.chance(20):
		m.notes["source"] = one(m, "pod", "auto")
	}
	if m.notes["source"] == "auto" && mount != nil && !*mount {
		m.notes["source"] = "pod"
	}
}
