package annotations

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
)

// given shortens an annotation map for tests: names are without the prefix.
func given(pairs ...string) map[string]string {
	annotations := map[string]string{"other.io/x": "y"}
	for i := 0; i < len(pairs); i += 2 {
		annotations[inject.Prefix+pairs[i]] = pairs[i+1]
	}
	return annotations
}

// read is what annotations alone ask.
func read(annotations map[string]string) (inject.Asked, []inject.Problem) {
	return Read(metav1.ObjectMeta{Annotations: annotations})
}

// rest is a spec's end when nothing else is given.
const rest = `"stopTimeout":"30s","stoppedExitCode":0,"killedExitCode":0}`

func TestAnnotationsGiveSpecs(t *testing.T) {
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		want        map[string]string // container → spec
	}{
		{name: "none of ours", annotations: given(), want: map[string]string{}},
		{name: "our own mark is not read", annotations: given("status", "{"), want: map[string]string{}},
		{name: "inject true says nothing", annotations: given("inject", "true"), want: map[string]string{}},
		{
			name:        "text, lists and objects",
			annotations: given("start-deps", "a: b, c=exited, d?\nb: [c, \"d=started?\"]\nc:\n- {container: d, condition: succeeded, optional: true}\n"),
			want: map[string]string{
				"a": `{"version":1,"container":"a","startDeps":["b=ready","c=exited","d=ready?"],` + rest,
				"b": `{"version":1,"container":"b","startDeps":["c=ready","d=started?"],` + rest,
				"c": `{"version":1,"container":"c","startDeps":["d=succeeded?"],` + rest,
			},
		},
		{
			name:        "no scalar is anything but text",
			annotations: given("start-deps", "on: off\n1e3: [0x10, null, yes, 2001-01-01]\n"),
			want: map[string]string{
				"on":  `{"version":1,"container":"on","startDeps":["off=ready"],` + rest,
				"1e3": `{"version":1,"container":"1e3","startDeps":["0x10=ready","null=ready","yes=ready","2001-01-01=ready"],` + rest,
			},
		},
		{
			name:        "JSON is YAML",
			annotations: given("stop-deps", `{"proxy": ["main=failed"]}`),
			want:        map[string]string{"proxy": `{"version":1,"container":"proxy","stopDeps":["main=failed"],` + rest},
		},
		{
			name: "a value without a container is for every wrapped one",
			annotations: given("stop-deps", "proxy: main", "start-timeout", "1m30s", "stop-delay", `"500ms"`,
				"stop-signal", "15", "stop-timeout", "5s", "stopped-exit-code", "child", "killed-exit-code", "9", "log-level", "debug"),
			want: map[string]string{
				"proxy": `{"version":1,"container":"proxy","stopDeps":["main=exited"],"startTimeout":"1m30s","stopDelay":"500ms","stopSignal":"SIGTERM","stopTimeout":"5s","stoppedExitCode":"child","killedExitCode":9,"logLevel":"debug"}`,
			},
		},
		{
			name:        "a spec object with everything",
			annotations: given("spec", `{main: {startDeps: b, stopDeps: [c], stopWhen: all, startTimeout: 1s, onStartTimeout: start, stopDelay: 2s, stopSignal: SIGRTMIN+3, stopTimeout: 3s, stopHTTP: GET http://a/b, exitHTTP: [PUT http://c/d], stoppedExitCode: 4, killedExitCode: child, mode: exec, logLevel: error, source: local}}`),
			want: map[string]string{
				"main": `{"version":1,"container":"main","startDeps":["b=ready"],"stopDeps":["c=exited"],"stopWhen":"all","startTimeout":"1s","onStartTimeout":"start","stopDelay":"2s","stopSignal":"SIGRTMIN+3","stopTimeout":"3s","stopHTTP":"GET http://a/b","exitHTTP":["PUT http://c/d"],"stoppedExitCode":4,"killedExitCode":"child","mode":"exec","logLevel":"error","source":"local"}`,
			},
		},
		{
			name: "and an annotation for each of it",
			annotations: given("stop-deps", "main: c", "stop-when", "all", "on-start-timeout", "main: start", "stop-http", "main: GET http://a/b",
				"exit-http", `main: ["PUT http://c/d", "POST http://e"]`, "mode", "supervise", "source", "pod", "gate", "main: true"),
			want: map[string]string{
				"main": `{"version":1,"container":"main","stopDeps":["c=exited"],"stopWhen":"all","onStartTimeout":"start","stopTimeout":"30s","stopHTTP":"GET http://a/b","exitHTTP":["PUT http://c/d","POST http://e"],"stoppedExitCode":0,"killedExitCode":0,"source":"pod"}`,
			},
		},
		{
			name:        "a spec object and annotations add up",
			annotations: given("spec", `{main: {stopDelay: 2s}}`, "stop-timeout", "main: 3s"),
			want: map[string]string{
				"main": `{"version":1,"container":"main","stopDelay":"2s","stopTimeout":"3s","stoppedExitCode":0,"killedExitCode":0}`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked, problems := read(tt.annotations)
			if len(problems) > 0 {
				t.Fatalf("problems: %v", problems)
			}
			have := map[string]string{}
			for container, w := range asked.Wishes {
				have[container] = w.Spec.Encode()
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestAnnotationsAreRefused(t *testing.T) {
	const known = "(known: command, essential, exit-http, gate, inject, killed-exit-code, log-level, mode, on-start-timeout, source, spec, start-deps, start-timeout, status, stop-delay, stop-deps, stop-http, stop-signal, stop-timeout, stop-when, stopped-exit-code)"
	const knownFields = "(known: exitHTTP, killedExitCode, logLevel, mode, onStartTimeout, source, startDeps, startTimeout, stopDelay, stopDeps, stopHTTP, stopSignal, stopTimeout, stopWhen, stoppedExitCode)"
	for _, tt := range []struct {
		name, annotation, value, want string
	}{
		{"hbt-11 a misspelt name", "start-dep", "a: b", `koordinator.io/start-dep: unknown annotation, did you mean "start-deps"? ` + known},
		{"an unknown name", "wait-for-godot", "a: b", `koordinator.io/wait-for-godot: unknown annotation ` + known},
		{"a request without a method", "stop-http", "a: http://127.0.0.1/quit", `koordinator.io/stop-http: container "a": "http://127.0.0.1/quit" is no request: write GET, POST or PUT and a URL, as "POST http://127.0.0.1:15020/quitquitquit"`},
		{"a request for every container", "exit-http", "GET http://127.0.0.1/quit", `koordinator.io/exit-http: want a map from container to value, as "main: POST http://127.0.0.1:15020/quitquitquit", have "GET http://127.0.0.1/quit"`},
		{"a list with a request that is none", "exit-http", "a: [GET http://x/, GET x]", `koordinator.io/exit-http: container "a": "x" is no URL of a server: write scheme, host and port, as "http://127.0.0.1:15020/quitquitquit"`},
		{"an unknown way to combine", "stop-when", "some", `koordinator.io/stop-when: "some" is not known (one of any, all)`},
		{"an unknown end of the wait", "on-start-timeout", "a: retry", `koordinator.io/on-start-timeout: container "a": "retry" is not known (one of fail, start)`},
		{"an unknown mode", "mode", "a: fork", `koordinator.io/mode: container "a": "fork" is not known (one of supervise, exec)`},
		{"an unknown source", "source", "api", `koordinator.io/source: "api" is not known (one of auto, pod, local)`},
		{"a gate that is neither", "gate", "no", `koordinator.io/gate: want true or false: "false" leaves probes and hooks alone`},
		{"a container's gate that is neither", "gate", "a: [false]", `koordinator.io/gate: container "a": want true or false: "false" leaves probes and hooks alone`},
		{"a list of gates", "gate", "[false]", `koordinator.io/gate: want a map from container to value, as "false" or "main: false", have "[false]"`},
		{"essential as a map", "essential", "main: proxy", `koordinator.io/essential: want a list of containers, as "main" or "[main, helper=failed]"`},
		{"an essential condition", "essential", "main=ready", `koordinator.io/essential: "main=ready": unknown condition "ready" (one of exited, succeeded, failed)`},
		{"essential twice", "essential", "[main, main=failed]", `koordinator.io/essential: container "main" is named twice: keep one condition`},
		{"inject", "inject", "False", `koordinator.io/inject: "False" is neither "true" nor "false": write "false" to leave this pod alone`},
		{"nothing", "start-deps", "", `koordinator.io/start-deps: empty: give a value or remove the annotation`},
		{"only a comment", "stop-timeout", "# none", `koordinator.io/stop-timeout: empty: give a value or remove the annotation`},
		{"no value", "start-deps", "a:", `koordinator.io/start-deps: container "a": empty: give a value or remove the key`},
		{"no YAML", "start-deps", "a: [b", `koordinator.io/start-deps: not YAML: line 1: did not find expected ',' or ']'`},
		{"a question mark in a list", "start-deps", "a: [b?]", `koordinator.io/start-deps: not YAML: did not find expected ',' or ']' (between [ ] and { } a "name?" needs quotes)`},
		{"two documents", "start-deps", "a: b\n---\nc: d", `koordinator.io/start-deps: more than one YAML document: keep one`},
		{"a key twice", "start-deps", "a: b\na: c", `koordinator.io/start-deps: "a" is given twice: keep one`},
		{"a map as key", "start-deps", "{a: b}: c", `koordinator.io/start-deps: line 1: want a name as key`},
		{"an alias", "start-deps", "a: &x b\nc: *x", `koordinator.io/start-deps: container "c": YAML anchors and aliases are not read here: write the value out`},
		{"dependencies for every container", "start-deps", "proxy", `koordinator.io/start-deps: want a map from container to value, as "main: proxy", have "proxy"`},
		{"a list for every container", "stop-delay", "[10s]", `koordinator.io/stop-delay: want a map from container to value, as "main: …", have "[10s]"`},
		{"an unknown condition", "start-deps", "a: b=up", `koordinator.io/start-deps: container "a": "b=up": unknown condition "up" (one of started, ready, exited, succeeded)`},
		{"an unknown stop condition", "stop-deps", "a: b=ready", `koordinator.io/stop-deps: container "a": "b=ready": unknown condition "ready" (one of exited, succeeded, failed)`},
		{"an optional stop dependency", "stop-deps", "a: b?", `koordinator.io/stop-deps: container "a": "b?": a stop dependency cannot be optional: remove the ?`},
		{"own-29 itself", "start-deps", "a: a", `koordinator.io/start-deps: container "a": container "a" cannot depend on itself: remove it`},
		{"own-29 one container twice", "start-deps", "a: b, b=exited", `koordinator.io/start-deps: container "a": container "b" is named twice: keep one condition`},
		{"a key of a dependency twice", "start-deps", "a: [{container: b, container: c}]", `koordinator.io/start-deps: container "a": [0]: "container" is given twice: keep one`},
		{"no unit", "stop-delay", "a: 10", `koordinator.io/stop-delay: container "a": "10" is not a duration: write a number with a unit, as 10s, 500ms or 1m30s`},
		{"no unit for every container", "stop-delay", "10", `koordinator.io/stop-delay: "10" is not a duration: write a number with a unit, as 10s, 500ms or 1m30s`},
		{"zero without a unit", "stop-delay", "a: 0", `koordinator.io/stop-delay: container "a": "0" has no unit: write 0s`},
		{"a negative duration", "start-timeout", "a: -1s", `koordinator.io/start-timeout: container "a": "-1s" is negative: a duration is 0s or more`},
		{"no time to stop", "stop-timeout", "a: 0s", `koordinator.io/stop-timeout: container "a": 0s would kill the command before it can end: give it some time, as 1s`},
		{"an unknown signal", "stop-signal", "a: SIGSTOPP", `koordinator.io/stop-signal: container "a": unknown signal "SIGSTOPP" (a name as SIGTERM, TERM or SIGRTMIN+3, or a number 1–64)`},
		{"SIGKILL", "stop-signal", "KILL", `koordinator.io/stop-signal: signal "KILL" cannot be handled by any command (choose one as SIGTERM, SIGINT or SIGQUIT)`},
		{"an exit code too large", "killed-exit-code", "a: 256", `koordinator.io/killed-exit-code: container "a": "256" is not an exit code: write 0–255, or "child" for the command's own`},
		{"an unknown log level", "log-level", "verbose", `koordinator.io/log-level: "verbose" is not known (one of error, info, debug)`},
		{"a command as text", "command", "a: /app --flag", `koordinator.io/command: container "a": want a list of strings, as ["/app", "--flag"]`},
		{"a wrapped command", "command", "a: [/koordinator/bin/koordinator, --, /app]", `koordinator.io/command: container "a": /koordinator/bin/koordinator is koordinator's own: write the real command, koordinator puts itself before it`},
		{"an empty command", "command", "a: []", `koordinator.io/command: container "a": names no program: write a list, as ["/app", "--flag"]`},
		{"a command of lists", "command", "a: [[b]]", `koordinator.io/command: container "a": want a list of strings, as ["/app", "--flag"]`},
		{"a spec that is none", "spec", "a: b", `koordinator.io/spec: container "a": want a spec, as {"startDeps": ["proxy"]}`},
		{"a misspelt field", "spec", "a: {startdeps: b}", `koordinator.io/spec: container "a": unknown field "startdeps" ` + knownFields + `, did you mean "startDeps"?`},
		{"a field that is ours", "spec", "a: {container: b}", `koordinator.io/spec: container "a": unknown field "container" ` + knownFields + ``},
		{"another that is ours", "spec", "a: {holdFor: [b]}", `koordinator.io/spec: container "a": unknown field "holdFor" ` + knownFields},
		{"a wrong field", "spec", "a: {stopDelay: 5}", `koordinator.io/spec: container "a": stopDelay: "5" is not a duration: write a number with a unit, as 10s, 500ms or 1m30s`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, problems := read(given(tt.annotation, tt.value))
			if have := fmt.Sprint(problems); have != "["+tt.want+"]" {
				t.Errorf("\nhave %s\nwant [%s]", have, tt.want)
			}
		})
	}
}

func TestAnnotationsThatContradict(t *testing.T) {
	for _, tt := range []struct {
		name        string
		annotations map[string]string
		want        []string
	}{
		{
			"a field given twice", given("spec", "a: {stopDelay: 5s}", "stop-delay", "a: 6s"),
			[]string{`koordinator.io/stop-delay: container "a": also given in koordinator.io/spec: keep one`},
		},
		{
			"a field given twice, once for every container", given("spec", "a: {stopDelay: 5s}", "stop-delay", "6s"),
			[]string{`koordinator.io/spec: container "a": stopDelay: also given in koordinator.io/stop-delay: keep one`},
		},
		{
			"a mistake in a list hides nothing else", given("start-deps", "a: a, b=up, c=down"),
			[]string{`koordinator.io/start-deps: container "a": "b=up": unknown condition "up" (one of started, ready, exited, succeeded); "c=down": unknown condition "down" (one of started, ready, exited, succeeded); container "a" cannot depend on itself: remove it`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []string
			_, problems := read(tt.annotations)
			for _, p := range problems {
				have = append(have, p.String())
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestEssentialContainersAreRead(t *testing.T) {
	for _, tt := range []struct {
		name, value, label string
		want               []string
	}{
		{name: "text", value: "main, other=failed", want: []string{"main=exited", "other=failed"}},
		{name: "a list", value: "[main=succeeded, {container: other}]", want: []string{"main=succeeded", "other=exited"}},
		{name: "the label", label: "main", want: []string{"main=succeeded"}},
		{name: "both", value: "other", label: "main", want: []string{"other=exited", "main=succeeded"}},
		{name: "the annotation says more of the same", value: "main=failed", label: "main", want: []string{"main=failed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			meta := metav1.ObjectMeta{Labels: map[string]string{inject.EssentialLabel: tt.label}}
			if tt.value != "" {
				meta.Annotations = given("essential", tt.value)
			}
			asked, problems := Read(meta)
			var have []string
			for _, e := range asked.Essential {
				have = append(have, e.String())
			}
			if diff := cmp.Diff(tt.want, have); diff != "" || len(problems) > 0 || !Present(meta) {
				t.Errorf("problems %v (-want +have):\n%s", problems, diff)
			}
		})
	}
}

// Every annotation is known once.
func TestAnnotationTables(t *testing.T) {
	all := Names()
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("a name stands in two tables: %v", all)
	}
}

func FuzzAnnotations(f *testing.F) {
	f.Add("start-deps", "a: b, c=exited, d?", "a: [b, {container: c}]")
	f.Add("spec", "{main: {startDeps: b}}", "main: x")
	f.Add("command", "a: [b, c]", "? ")
	f.Add("stop-delay", "5s", "a: &x [*x]")
	f.Fuzz(func(t *testing.T, name, one, two string) {
		annotations := given(name, one, "start-deps", two)
		asked, problems := read(annotations)
		_, again := read(annotations)
		if diff := cmp.Diff(problems, again); diff != "" {
			t.Fatalf("the same annotations, another answer:\n%s", diff)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Place, inject.Prefix) || p.Text == "" {
				t.Errorf("problem %q names no annotation", p)
			}
		}
		for container, w := range asked.Wishes {
			if len(problems) == 0 && w.Spec.Container != container {
				t.Errorf("the spec of %q is for %q", container, w.Spec.Container)
			}
		}
	})
}
