package annotations

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// given returns an annotation map. The names are given without the prefix.
func given(pairs ...string) map[string]string {
	annotations := map[string]string{"other.io/x": "y"}
	for i := 0; i < len(pairs); i += 2 {
		annotations[inject.Prefix+pairs[i]] = pairs[i+1]
	}
	return annotations
}

// read reads annotations without labels.
func read(annotations map[string]string) (inject.Asked, []messages.Problem) {
	return Read(metav1.ObjectMeta{Annotations: annotations}, nil)
}

// rest is the end of a spec with no other settings.
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
	const names = "command, env-file, essential, exit-http, gate, inject, killed-exit-code, log-level, mode, on-start-timeout, ready-when, restart-with, source, spec, start-deps, start-timeout, stop-delay, stop-deps, stop-http, stop-signal, stop-timeout, stop-when, stopped-exit-code"
	const fields = "envFiles, exitHTTP, killedExitCode, logLevel, mode, onStartTimeout, readyWhen, restartWith, source, startDeps, startTimeout, stopDelay, stopDeps, stopHTTP, stopSignal, stopTimeout, stopWhen, stoppedExitCode"
	for _, tt := range []struct {
		name, annotation, value, want string
	}{
		{"hbt-11 a misspelt name", "start-dep", "a: b", `metadata.annotations[koordinator.io/start-dep]: koordinator has no annotation of this name. Did you mean "koordinator.io/start-deps"? [KO101]`},
		{"an unknown name", "wait-for-godot", "a: b", `metadata.annotations[koordinator.io/wait-for-godot]: koordinator has no annotation of this name. Use one of ` + names + " [KO101]"},
		{"a request without a method", "stop-http", "a: http://127.0.0.1/quit", `metadata.annotations[koordinator.io/stop-http][a]: "http://127.0.0.1/quit" is not an HTTP request. Write GET, POST or PUT and a URL, for example "POST http://127.0.0.1:15020/quitquitquit" [KO122]`},
		{"a request for every container", "exit-http", "GET http://127.0.0.1/quit", `metadata.annotations[koordinator.io/exit-http]: "GET http://127.0.0.1/quit" is not a map from container to value. Write it as "main: POST http://127.0.0.1:15020/quitquitquit" [KO104]`},
		{"a list with a request that is none", "exit-http", "a: [GET http://x/, GET x]", `metadata.annotations[koordinator.io/exit-http][a]: "x" is not the URL of a server. Write scheme, host and port, for example "http://127.0.0.1:15020/quitquitquit" [KO122]`},
		{"an unknown way to combine", "stop-when", "some", `metadata.annotations[koordinator.io/stop-when]: "some" is not a valid value. Use one of any, all [KO119]`},
		{"an unknown end of the wait", "on-start-timeout", "a: retry", `metadata.annotations[koordinator.io/on-start-timeout][a]: "retry" is not a valid value. Use one of fail, start [KO119]`},
		{"an unknown mode", "mode", "a: fork", `metadata.annotations[koordinator.io/mode][a]: "fork" is not a valid value. Use one of supervise, exec [KO119]`},
		{"an unknown source", "source", "api", `metadata.annotations[koordinator.io/source]: "api" is not a valid value. Use one of auto, pod, local [KO119]`},
		{"a gate that is neither", "gate", "no", `metadata.annotations[koordinator.io/gate]: the value is neither true nor false. Set "false" to leave probes and hooks alone, or remove the annotation [KO108]`},
		{"a container's gate that is neither", "gate", "a: [false]", `metadata.annotations[koordinator.io/gate][a]: the value is neither true nor false. Set "false" to leave probes and hooks alone, or remove the annotation [KO108]`},
		{"a list of gates", "gate", "[false]", `metadata.annotations[koordinator.io/gate]: "[false]" is not a map from container to value. Write it as "false" or "main: false" [KO104]`},
		{"essential as a map", "essential", "main: proxy", `metadata.annotations[koordinator.io/essential]: a map is not a list of containers. Write it as "main" or "[main, helper=failed]" [KO104]`},
		{"an essential condition", "essential", "main=ready", `metadata.annotations[koordinator.io/essential]: "main=ready": "ready" is not a valid condition. Use one of exited, succeeded, failed [KO115]`},
		{"essential twice", "essential", "[main, main=failed]", `metadata.annotations[koordinator.io/essential]: container "main" is listed twice. Keep one condition [KO228]`},
		{"inject", "inject", "False", `metadata.annotations[koordinator.io/inject]: "False" is neither "true" nor "false". Set "false" to leave this pod alone, or remove the annotation [KO108]`},
		{"nothing", "start-deps", "", `metadata.annotations[koordinator.io/start-deps]: the annotation is empty. Set a value, or remove the annotation [KO103]`},
		{"only a comment", "stop-timeout", "# none", `metadata.annotations[koordinator.io/stop-timeout]: the annotation is empty. Set a value, or remove the annotation [KO103]`},
		{"no value", "start-deps", "a:", `metadata.annotations[koordinator.io/start-deps][a]: the value is empty. Set a value, or remove the key [KO103]`},
		{"no YAML", "start-deps", "a: [b", `metadata.annotations[koordinator.io/start-deps]: the value is not YAML: line 1: did not find expected ',' or ']'. Correct the syntax [KO102]`},
		{"a question mark in a list", "start-deps", "a: [b?]", `metadata.annotations[koordinator.io/start-deps]: the value is not YAML: did not find expected ',' or ']'. Quote "name?" between [ ] and { } [KO102]`},
		{"two documents", "start-deps", "a: b\n---\nc: d", `metadata.annotations[koordinator.io/start-deps]: the value has more than one YAML document. Keep one [KO110]`},
		{"a key twice", "start-deps", "a: b\na: c", `metadata.annotations[koordinator.io/start-deps]: the key "a" is set twice. Keep one [KO105]`},
		{"a map as key", "start-deps", "{a: b}: c", `metadata.annotations[koordinator.io/start-deps]: the key in line 1 is not a name. Write a name as the key [KO104]`},
		{"an alias", "start-deps", "a: &x b\nc: *x", `metadata.annotations[koordinator.io/start-deps][c]: koordinator does not read YAML anchors and aliases. Write the value out [KO109]`},
		{"dependencies for every container", "start-deps", "proxy", `metadata.annotations[koordinator.io/start-deps]: "proxy" is not a map from container to value. Write it as "main: proxy" [KO104]`},
		{"a list for every container", "stop-delay", "[10s]", `metadata.annotations[koordinator.io/stop-delay]: "[10s]" is not a map from container to value. Write it as "main: …" [KO104]`},
		{"an unknown condition", "start-deps", "a: b=up", `metadata.annotations[koordinator.io/start-deps][a]: "b=up": "up" is not a valid condition. Use one of started, ready, exited, succeeded [KO115]`},
		{"an unknown stop condition", "stop-deps", "a: b=ready", `metadata.annotations[koordinator.io/stop-deps][a]: "b=ready": "ready" is not a valid condition. Use one of exited, succeeded, failed [KO115]`},
		{"an optional stop dependency", "stop-deps", "a: b?", `metadata.annotations[koordinator.io/stop-deps][a]: "b?": a stop dependency cannot be optional. Remove the "?" [KO116]`},
		{"own-29 itself", "start-deps", "a: a", `metadata.annotations[koordinator.io/start-deps][a]: container "a" cannot depend on itself. Remove the dependency [KO227]`},
		{"own-29 one container twice", "start-deps", "a: b, b=exited", `metadata.annotations[koordinator.io/start-deps][a]: container "b" is listed twice. Keep one condition [KO228]`},
		{"a key of a dependency twice", "start-deps", "a: [{container: b, container: c}]", `metadata.annotations[koordinator.io/start-deps][a]: the key "container" is set twice. Keep one [KO105]`},
		{"no unit", "stop-delay", "a: 10", `metadata.annotations[koordinator.io/stop-delay][a]: "10" is not a duration. Write a number with a unit, for example 10s, 500ms or 1m30s [KO117]`},
		{"no unit for every container", "stop-delay", "10", `metadata.annotations[koordinator.io/stop-delay]: "10" is not a duration. Write a number with a unit, for example 10s, 500ms or 1m30s [KO117]`},
		{"zero without a unit", "stop-delay", "a: 0", `metadata.annotations[koordinator.io/stop-delay][a]: "0" has no unit. Write 0s [KO117]`},
		{"a negative duration", "start-timeout", "a: -1s", `metadata.annotations[koordinator.io/start-timeout][a]: "-1s" is negative. Set 0s or more [KO117]`},
		{"no time to stop", "stop-timeout", "a: 0s", `metadata.annotations[koordinator.io/stop-timeout][a]: 0s would kill the command before it can stop. Set 1s or more [KO118]`},
		{"an unknown signal", "stop-signal", "a: SIGSTOPP", `metadata.annotations[koordinator.io/stop-signal][a]: "SIGSTOPP" is not a signal. Use a name, for example SIGTERM, TERM or SIGRTMIN+3, or a number from 1 to 64 [KO120]`},
		{"SIGKILL", "stop-signal", "KILL", `metadata.annotations[koordinator.io/stop-signal]: no command can handle the signal "KILL". Use another, for example SIGTERM, SIGINT or SIGQUIT [KO120]`},
		{"an exit code too large", "killed-exit-code", "a: 256", `metadata.annotations[koordinator.io/killed-exit-code][a]: "256" is not an exit code. Use 0 to 255, or "child" for the command's own code [KO121]`},
		{"an unknown log level", "log-level", "verbose", `metadata.annotations[koordinator.io/log-level]: "verbose" is not a valid value. Use one of error, info, debug [KO119]`},
		{"a command as text", "command", "a: /app --flag", `metadata.annotations[koordinator.io/command][a]: the command is not a list of strings. Write a list, for example ["/app", "--flag"] [KO112]`},
		{"a wrapped command", "command", "a: [/koordinator/bin/koordinator, --, /app]", `metadata.annotations[koordinator.io/command][a]: /koordinator/bin/koordinator is koordinator's own program. Write the container's own command: koordinator inserts its program before it [KO508]`},
		{"an empty command", "command", "a: []", `metadata.annotations[koordinator.io/command][a]: the command names no program. Write a list, for example ["/app", "--flag"] [KO112]`},
		{"a command of lists", "command", "a: [[b]]", `metadata.annotations[koordinator.io/command][a]: the command is not a list of strings. Write a list, for example ["/app", "--flag"] [KO112]`},
		{"a spec that is none", "spec", "a: b", `metadata.annotations[koordinator.io/spec][a]: the value is not a spec. Write it as {"startDeps": ["proxy"]} [KO104]`},
		{"a misspelt field", "spec", "a: {startdeps: b}", `metadata.annotations[koordinator.io/spec][a]: a spec has no field "startdeps". Did you mean "startDeps"? [KO107]`},
		{"a field that is ours", "spec", "a: {container: b}", `metadata.annotations[koordinator.io/spec][a]: a spec has no field "container". Use one of ` + fields + " [KO107]"},
		{"another that is ours", "spec", "a: {holdFor: [b]}", `metadata.annotations[koordinator.io/spec][a]: a spec has no field "holdFor". Use one of ` + fields + " [KO107]"},
		{"a wrong field", "spec", "a: {stopDelay: 5}", `metadata.annotations[koordinator.io/spec][a].stopDelay: "5" is not a duration. Write a number with a unit, for example 10s, 500ms or 1m30s [KO117]`},
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
			[]string{`metadata.annotations[koordinator.io/stop-delay][a]: the same setting is also in koordinator.io/spec. Keep one [KO106]`},
		},
		{
			"a field given twice, once for every container", given("spec", "a: {stopDelay: 5s}", "stop-delay", "6s"),
			[]string{`metadata.annotations[koordinator.io/spec][a].stopDelay: the same setting is also in koordinator.io/stop-delay. Keep one [KO106]`},
		},
		{
			"a mistake in a list hides nothing else", given("start-deps", "a: a, b=up, c=down"),
			[]string{
				`metadata.annotations[koordinator.io/start-deps][a]: "b=up": "up" is not a valid condition. Use one of started, ready, exited, succeeded [KO115]`,
				`metadata.annotations[koordinator.io/start-deps][a]: "c=down": "down" is not a valid condition. Use one of started, ready, exited, succeeded [KO115]`,
				`metadata.annotations[koordinator.io/start-deps][a]: container "a" cannot depend on itself. Remove the dependency [KO227]`,
			},
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
			asked, problems := Read(meta, nil)
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

// Every annotation is in one table only.
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
		if diff := cmp.Diff(messages.Strings(problems), messages.Strings(again)); diff != "" {
			t.Fatalf("the same annotations, another answer:\n%s", diff)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p.Path.String(), "metadata.annotations["+inject.Prefix) || p.Sentence == "" || p.Code == "" {
				t.Errorf("problem %q names no annotation, or has no code", p)
			}
		}
		for container, w := range asked.Wishes {
			if len(problems) == 0 && w.Spec.Container != container {
				t.Errorf("the spec of %q is for %q", container, w.Spec.Container)
			}
		}
	})
}
