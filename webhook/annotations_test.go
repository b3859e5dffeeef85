package webhook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
			annotations: given("spec", `{main: {startDeps: b, stopDeps: [c], startTimeout: 1s, stopDelay: 2s, stopSignal: SIGRTMIN+3, stopTimeout: 3s, stoppedExitCode: 4, killedExitCode: child, logLevel: error}}`),
			want: map[string]string{
				"main": `{"version":1,"container":"main","startDeps":["b=ready"],"stopDeps":["c=exited"],"startTimeout":"1s","stopDelay":"2s","stopSignal":"SIGRTMIN+3","stopTimeout":"3s","stoppedExitCode":4,"killedExitCode":"child","logLevel":"error"}`,
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
			asked := parseAnnotations(tt.annotations)
			if len(asked.problems) > 0 {
				t.Fatalf("problems: %v", asked.problems)
			}
			have := map[string]string{}
			for container, w := range asked.wishes {
				have[container] = w.Spec.Encode()
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestAnnotationsAreRefused(t *testing.T) {
	const known = "(known: command, inject, killed-exit-code, log-level, spec, start-deps, start-timeout, status, stop-delay, stop-deps, stop-signal, stop-timeout, stopped-exit-code)"
	for _, tt := range []struct {
		name, annotation, value, want string
	}{
		{"a misspelt name", "start-dep", "a: b", `koordinator.io/start-dep: unknown annotation, did you mean "start-deps"? ` + known},
		{"an unknown name", "wait-for-godot", "a: b", `koordinator.io/wait-for-godot: unknown annotation ` + known},
		{"a later feature", "stop-http", "a: b", `koordinator.io/stop-http: not supported yet by this version: remove it`},
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
		{"itself", "start-deps", "a: a", `koordinator.io/start-deps: container "a": container "a" cannot depend on itself: remove it`},
		{"one container twice", "start-deps", "a: b, b=exited", `koordinator.io/start-deps: container "a": container "b" is named twice: keep one condition`},
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
		{"a misspelt field", "spec", "a: {startdeps: b}", `koordinator.io/spec: container "a": unknown field "startdeps" (known: killedExitCode, logLevel, startDeps, startTimeout, stopDelay, stopDeps, stopSignal, stopTimeout, stoppedExitCode), did you mean "startDeps"?`},
		{"a field that is ours", "spec", "a: {container: b}", `koordinator.io/spec: container "a": unknown field "container" (known: killedExitCode, logLevel, startDeps, startTimeout, stopDelay, stopDeps, stopSignal, stopTimeout, stoppedExitCode)`},
		{"a wrong field", "spec", "a: {stopDelay: 5}", `koordinator.io/spec: container "a": stopDelay: "5" is not a duration: write a number with a unit, as 10s, 500ms or 1m30s`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := parseAnnotations(given(tt.annotation, tt.value))
			if have := fmt.Sprint(asked.problems); have != "["+tt.want+"]" {
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
			for _, p := range parseAnnotations(tt.annotations).problems {
				have = append(have, p.String())
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestValueForNobodyIsWarnedOf(t *testing.T) {
	asked := parseAnnotations(given("stop-timeout", "5s", "command", "a: [/a]"))
	want := []string{"koordinator.io/stop-timeout: it is for every wrapped container, but none is: give a container a dependency"}
	if diff := cmp.Diff(want, asked.warnings); diff != "" || len(asked.problems) > 0 {
		t.Errorf("problems %v, warnings (-want +have):\n%s", asked.problems, diff)
	}
}

// Every annotation is known once, and the next version's are not known yet.
func TestAnnotationTables(t *testing.T) {
	all := slices.Concat(slices.Collect(maps.Keys(settings)), others, later)
	slices.Sort(all)
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
		asked := parseAnnotations(annotations)
		again := parseAnnotations(annotations)
		if diff := cmp.Diff(asked.problems, again.problems); diff != "" {
			t.Fatalf("the same annotations, another answer:\n%s", diff)
		}
		for _, p := range asked.problems {
			if !strings.HasPrefix(p.Place, inject.Prefix) || p.Text == "" {
				t.Errorf("problem %q names no annotation", p)
			}
		}
		for container, w := range asked.wishes {
			if len(asked.problems) == 0 && w.Spec.Container != container {
				t.Errorf("the spec of %q is for %q", container, w.Spec.Container)
			}
		}
	})
}
