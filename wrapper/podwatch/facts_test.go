package podwatch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/spec"
)

// States of a container as the kubelet writes them.
const (
	creating   = `"state":{"waiting":{"reason":"ContainerCreating"}}`
	running    = `"state":{"running":{"startedAt":"2026-01-02T03:04:05Z"}},"containerID":"containerd://a"`
	runningB   = `"state":{"running":{}},"containerID":"containerd://b","restartCount":1`
	crashLoop  = `"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"reason":"Error"}},"restartCount":2`
	exit0      = `"state":{"terminated":{"exitCode":0,"reason":"Completed"}},"containerID":"containerd://a"`
	exit3      = `"state":{"terminated":{"exitCode":3,"reason":"Error","message":"no disk\n"}},"containerID":"containerd://a"`
	lost       = `"state":{"terminated":{"exitCode":137,"reason":"ContainerStatusUnknown","message":"The container could not be located when the pod was terminated"}}`
	startError = `"state":{"terminated":{"exitCode":128,"reason":"StartError","message":"exec: \"/app\": not found","startedAt":"1970-01-01T00:00:00Z"}}`
	notStarted = `"state":{"terminated":{"exitCode":69,"reason":"Error","message":"koordinator: command not started: proxy exited with 1, so ready cannot come true"}}`
	ready      = `,"ready":true,"started":true`
	begun      = `,"ready":false,"started":true`
)

// Kinds of containers.
const (
	regular = ``
	gate    = `,"command":["/koordinator/bin/koordinator","--","app"],"startupProbe":{"exec":{"command":["gate"]}}`
	wrapped = `,"command":["/koordinator/bin/koordinator","--","app"]`
	sidecar = `,"restartPolicy":"Always"`
	never   = `,"restartPolicy":"Never"`
	rules   = `,"restartPolicy":"Never","restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[3]}}]`
	notIn   = `,"restartPolicy":"Never","restartPolicyRules":[{"action":"Restart"},{"action":"Restart","exitCodes":{"operator":"NotIn","values":[0,3]}}]`
	noRules = `,"restartPolicyRules":[{"action":"Restart","exitCodes":{"operator":"In","values":[3]}}]`
	allOver = `,"restartPolicy":"Never","restartPolicyRules":[{"action":"RestartAllContainers","exitCodes":{"operator":"In","values":[3]}}]`
)

// decode decodes a pod as the watch does.
func decode(t *testing.T, text string) *pod {
	t.Helper()
	p := new(pod)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		t.Fatalf("decode %s: %v", text, err)
	}
	return p
}

// podText returns a pod with a container "c" of the given kind, in the list
// field "containers" or "initContainers".
func podText(policy, field, kind, state, meta, status string) string {
	statuses := map[string]string{"containers": "containerStatuses", "initContainers": "initContainerStatuses"}[field]
	if state != "" {
		state = `{"name":"c",` + state + `}`
	}
	return `{"metadata":{"name":"web-0","uid":"u1"` + meta + `},
		"spec":{"restartPolicy":"` + policy + `","` + field + `":[{"name":"c"` + kind + `}]},
		"status":{"` + statuses + `":[` + state + `]` + status + `}}`
}

func TestFactsOfOneContainer(t *testing.T) {
	const (
		deleted   = `,"deletionTimestamp":"2026-01-02T03:04:05Z"`
		failed    = `,"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory."`
		succeeded = `,"phase":"Succeeded"`
		restarted = `,"conditions":[{"type":"Ready","status":"False"},{"type":"AllContainersRestarting","status":"True"}]`
	)
	oom := strings.Replace(exit3, `"exitCode":3,"reason":"Error"`, `"exitCode":137,"reason":"OOMKilled"`, 1)
	killed := strings.Replace(exit3, `"exitCode":3`, `"exitCode":137`, 1)
	signalled := strings.Replace(exit3, `"exitCode":3`, `"exitCode":0,"signal":15`, 1)
	forgotten := strings.Replace(creating, "ContainerCreating", "CrashLoopBackOff", 1) + `,"restartCount":1`
	notStartedBefore := strings.Replace(notStarted, "state", "lastState", 1) + `,"state":{"waiting":{}},"restartCount":1`
	removed := strings.Replace(lost, "ContainerStatusUnknown", "RestartingAllContainers", 1)
	removedBefore := strings.Replace(removed, "state", "lastState", 1) + `,"state":{"waiting":{}},"restartCount":1`
	lostReason := "ContainerStatusUnknown: The container could not be located when the pod was terminated"
	evicted := "did not run before the pod failed: Evicted: The node was low on resource: memory."
	ended := func(code int) podstatus.Container {
		return podstatus.Container{Started: true, Exited: true, Code: code}
	}
	because := func(c podstatus.Container, reason string) podstatus.Container { c.Reason = reason; return c }
	started, up, none := podstatus.Container{Started: true}, podstatus.Container{Started: true, Ready: true}, podstatus.Container{}

	tests := []struct {
		name         string
		policy, kind string
		states       []string // one after the other
		meta, status string
		want         podstatus.Container
	}{
		{"no status yet", "Always", regular, []string{""}, "", "", none},
		{"being created", "Always", regular, []string{creating}, "", "", none},
		{"running, not ready", "Always", regular, []string{running}, "", "", started},
		{"running and ready", "Always", regular, []string{running + ready}, "", "", up},
		{"readiness that is lost again counts", "Always", regular, []string{running + ready, running + begun}, "", "", up},
		{"readiness ends with the incarnation", "Always", regular, []string{running + ready, runningB + begun}, "", "", started},
		{"readiness ends with the exit", "Always", regular, []string{running + ready, exit3}, "", "", started},
		{"in a crash loop", "OnFailure", regular, []string{crashLoop}, "", "", started},
		{"in a crash loop under Never by its own policy", "Always", never, []string{crashLoop}, "", "", started},
		{"an earlier incarnation the kubelet forgot", "Always", regular, []string{forgotten}, "", "", started},
		{"a forgotten incarnation of a gated one says nothing", "Always", gate, []string{forgotten}, "", "", none},

		{"gate closed", "Always", gate, []string{running}, "", "", none},
		{"gate closed, though ready", "Always", gate, []string{running + `,"ready":true,"started":false`}, "", "", none},
		{"gate open", "Always", gate, []string{running + begun}, "", "", started},
		{"gate open and ready", "Always", gate, []string{running + ready}, "", "", up},
		{"gate closed in the next incarnation", "Always", gate, []string{running + ready, runningB}, "", "", started},
		{"a gated command ran if the wrapper does not deny it", "Never", gate, []string{running, exit3}, "", "", ended(3)},
		{"wrapped without a gate", "Always", wrapped, []string{running}, "", "", started},

		{"Never, code 0", "Never", regular, []string{exit0}, "", "", ended(0)},
		{"Never, code 3", "Never", regular, []string{exit3}, "", "", ended(3)},
		{"OnFailure, code 0", "OnFailure", regular, []string{exit0}, "", "", ended(0)},
		{"OnFailure, code 3", "OnFailure", regular, []string{exit3}, "", "", started},
		{"Always, code 0", "Always", regular, []string{exit0}, "", "", started},
		{"no policy is Always", "", regular, []string{exit0}, "", "", started},
		{"own policy before the pod's: Never in Always", "Always", never, []string{exit3}, "", "", ended(3)},
		{"own policy before the pod's: Always in Never", "Never", sidecar, []string{exit0}, "", "", started},
		{"a rule restarts its code", "Always", rules, []string{exit3}, "", "", started},
		{"a rule leaves other codes", "Always", rules, []string{exit0}, "", "", ended(0)},
		{"NotIn leaves its codes", "Always", notIn, []string{exit3}, "", "", ended(3)},
		{"NotIn restarts other codes", "Always", notIn, []string{killed}, "", "", started},
		{"rules without an own policy are not looked at", "Never", noRules, []string{exit3}, "", "", ended(3)},
		{"a rule restarts all", "Never", allOver, []string{exit3}, "", "", started},
		{"all restart, says the pod", "Never", regular, []string{exit3}, "", restarted, started},
		{"removed to restart all", "Never", regular, []string{removedBefore}, "", restarted, started},
		{"removed to restart all, gate closed", "Never", gate, []string{running, removedBefore}, "", restarted, none},

		{"signal without a code", "Never", regular, []string{signalled}, "", "", because(ended(143), "ended with code 143, as by signal 15")},
		{"killed", "Never", regular, []string{killed}, "", "", because(ended(137), "ended with code 137, as by signal 9")},
		{"out of memory", "Never", regular, []string{oom}, "", "", because(ended(137), "killed: out of memory (OOMKilled)")},
		{"lost after it ran", "Never", regular, []string{running, lost}, "", "", because(ended(137), lostReason)},
		{"lost, never seen running", "Never", regular, []string{lost}, "", "", podstatus.Container{Exited: true, Code: 137, Reason: lostReason}},
		{"lost, restarted under OnFailure", "OnFailure", regular, []string{running, lost}, "", "", started},
		{"the runtime could not start it", "Never", regular, []string{startError}, "", "", podstatus.Container{Exited: true, Code: 128, Reason: `StartError: exec: "/app": not found`}},
		{
			"the wrapper did not start it", "Never", gate,
			[]string{running, notStarted},
			"", "",
			podstatus.Container{Exited: true, Code: 69, Reason: "proxy exited with 1, so ready cannot come true"},
		},
		{"not started, tried again", "OnFailure", gate, []string{notStarted}, "", "", none},
		{"not started before", "Always", regular, []string{notStartedBefore}, "", "", none},
		{"started once stays true", "OnFailure", gate, []string{running + begun, notStarted}, "", "", started},

		{"deleted: Always does not restart", "Always", regular, []string{exit3}, deleted, "", ended(3)},
		{"deleted: rules do not restart", "Always", rules, []string{exit3}, deleted, "", ended(3)},
		{"deleted, still running", "Always", regular, []string{running + ready}, deleted, "", up},
		{"deleted in a crash loop", "Always", regular, []string{crashLoop}, deleted, "", started},
		{"pod failed, exit under Always", "Always", regular, []string{exit3}, "", failed, ended(3)},
		{"pod failed in a crash loop", "Always", regular, []string{crashLoop}, "", failed, ended(1)},
		{"pod failed before it ran", "Never", regular, []string{creating}, "", failed, podstatus.Container{Exited: true, Code: 137, Reason: evicted}},
		{"pod failed before it had a status", "Never", regular, []string{""}, "", failed, podstatus.Container{Exited: true, Code: 137, Reason: evicted}},
		{"pod failed, still stopping", "Never", regular, []string{running + ready}, "", failed, up},
		{"pod succeeded", "OnFailure", regular, []string{exit0}, "", succeeded, ended(0)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var f facts
			for _, state := range test.states {
				f = f.observe(decode(t, podText(test.policy, "containers", test.kind, state, test.meta, test.status)))
			}
			if diff := cmp.Diff(podstatus.Snapshot{"c": test.want}, lasting(f.snapshot())); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

// lasting clears Init, Runs, Stopping and Ends, which have tests of their own.
func lasting(s podstatus.Snapshot) podstatus.Snapshot {
	for name, c := range s {
		c.Runs, c.Stopping, c.Init, c.Ends = false, false, false, 0
		s[name] = c
	}
	return s
}

func TestWhatRunsAndStops(t *testing.T) {
	const deleted = `,"deletionTimestamp":"2026-01-02T03:04:05Z"`
	gated := `,"command":["` + spec.Binary + `","--","app"],"startupProbe":{}`
	for name, test := range map[string]struct {
		kind, state, meta string
		runs, stopping    bool
	}{
		"creating":                       {regular, creating, "", false, false},
		"running":                        {regular, running, "", true, false},
		"running while the gate is shut": {gated, running, "", false, false},
		"running, the gate is open":      {gated, running + `,"started":true`, "", true, false},
		"running in a pod that goes":     {regular, running, deleted, true, true},
		"exited in a pod that goes":      {regular, exit0, deleted, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := facts(nil).observe(decode(t, podText("Never", "containers", test.kind, test.state, test.meta, ""))).snapshot()["c"]
			if got.Runs != test.runs || got.Stopping != test.stopping {
				t.Errorf("have runs %v, stopping %v; want %v, %v", got.Runs, got.Stopping, test.runs, test.stopping)
			}
		})
	}
}

func TestFactsOfInitContainers(t *testing.T) {
	tests := []struct {
		name, policy, kind, state string
		want                      podstatus.Container
	}{
		{"plain, waits", "Always", regular, creating, podstatus.Container{}},
		{"plain, runs", "Always", regular, running, podstatus.Container{Started: true}},
		{"plain, code 0 is for good under Always", "Always", regular, exit0 + `,"ready":true`, podstatus.Container{Started: true, Exited: true}},
		{"plain, code 3 under Always", "Always", regular, exit3, podstatus.Container{Started: true}},
		{"plain, code 3 under OnFailure", "OnFailure", regular, exit3, podstatus.Container{Started: true}},
		{"plain, code 3 under Never", "Never", regular, exit3, podstatus.Container{Started: true, Exited: true, Code: 3}},
		{"plain, own Never", "Always", never, exit3, podstatus.Container{Started: true, Exited: true, Code: 3}},
		{"plain, a rule restarts its code", "Never", rules, exit3, podstatus.Container{Started: true}},
		{"plain is never ready", "Always", regular, running + ready, podstatus.Container{Started: true}},
		{"native sidecar, ready", "Never", sidecar, running + ready, podstatus.Container{Started: true, Ready: true}},
		{"native sidecar, exited", "Never", sidecar, exit0, podstatus.Container{Started: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := facts(nil).observe(decode(t, podText(test.policy, "initContainers", test.kind, test.state, "", ""))).snapshot()
			if diff := cmp.Diff(podstatus.Snapshot{"c": test.want}, lasting(got)); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARuleOfOneContainerRevokesTheEndOfAnother(t *testing.T) {
	text := func(trigger string) string {
		return `{"spec":{"restartPolicy":"Never","containers":[{"name":"a"},{"name":"b"` + allOver + `}],"initContainers":[{"name":"i"}]},
			"status":{"containerStatuses":[{"name":"b",` + trigger + `},{"name":"a",` + exit0 + `}],"initContainerStatuses":[{"name":"i",` + exit0 + `}]}}`
	}
	done := podstatus.Container{Started: true, Exited: true, Ends: 1}
	f := facts(nil).observe(decode(t, text(running)))
	initDone := podstatus.Container{Init: true, Started: true, Exited: true, Ends: 1}
	want := podstatus.Snapshot{"a": done, "b": {Started: true, Runs: true}, "i": initDone}
	if diff := cmp.Diff(want, f.snapshot()); diff != "" {
		t.Errorf("while b runs (-want +got):\n%s", diff)
	}
	f = f.observe(decode(t, text(exit3)))
	want = podstatus.Snapshot{"a": {Started: true, Ends: 1}, "b": {Started: true, Ends: 1}, "i": {Init: true, Started: true, Ends: 1}}
	if diff := cmp.Diff(want, f.snapshot()); diff != "" {
		t.Errorf("after b exited with 3 (-want +got):\n%s", diff)
	}
}

func TestSentenceIsOneShortLine(t *testing.T) {
	for text, want := range map[string]string{
		" first.\nsecond":        "first.",
		"Error: ":                "Error",
		strings.Repeat("ä", 200): strings.Repeat("ä", 150) + "…",
	} {
		if got := sentence(text); got != want {
			t.Errorf("sentence(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestA26TheStopSignalThatTheKubeletReports(t *testing.T) {
	for state, want := range map[string]string{
		running:                             "",
		running + `,"stopSignal":"SIGUSR1"`: "SIGUSR1",
	} {
		f := facts(nil).observe(decode(t, podText("Never", "containers", regular, state, "", "")))
		if have := f.snapshot()["c"].StopSignal; have != want {
			t.Errorf("%s: stop signal %q, want %q", state, have, want)
		}
	}
}
