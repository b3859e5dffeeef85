package explain

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestEveryAnnotationIsExplained(t *testing.T) {
	var have []string
	for _, a := range table {
		have = append(have, a.name)
		if a.means == "" || a.values == "" || a.name != "status" && (a.initial == "" || a.example == "") {
			t.Errorf("%s: %+v", a.name, a)
		}
	}
	slices.Sort(have)
	if want := annotations.Names(); !slices.Equal(want, have) {
		t.Errorf("explained: %v, want %v", have, want)
	}
}

func TestExamplesOfAnnotationsAreValid(t *testing.T) {
	for _, a := range table {
		text := strings.Trim(a.example, `"`)
		if a.example == "" {
			continue
		}
		pod := corev1.Pod{}
		pod.Annotations = map[string]string{"koordinator.io/" + a.name: text}
		if _, problems := annotations.Read(pod.ObjectMeta, nil); len(problems) > 0 {
			t.Errorf("%s: %s: %v", a.name, a.example, problems)
		}
	}
}

// The wrapper's exit codes are the constants of package spec whose names begin with Exit.
func TestEveryExitCodeOfTheWrapperIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../wrapper/spec/spec.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		value, is := n.(*ast.ValueSpec)
		if !is || !strings.HasPrefix(value.Names[0].Name, "Exit") || len(value.Values) != 1 {
			return true
		}
		literal, is := value.Values[0].(*ast.BasicLit)
		if !is || literal.Kind != token.INT {
			return true
		}
		number, err := strconv.Atoi(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if e := exits[number]; e.Means == "" || e.Mend == "" {
			t.Errorf("%s (%d) is not explained", value.Names[0].Name, number)
		}
		return true
	})
	if found < 8 {
		t.Errorf("%d exit codes are found in package spec", found)
	}
}

func TestEveryCodeIsExplained(t *testing.T) {
	for _, group := range messages.Table() {
		for _, e := range group.Entries {
			have, err := Find(string(e.Code))
			if err != nil || len(have) != 1 || !strings.Contains(have[0].Subject, e.Title) || have[0].Means == "" {
				t.Errorf("%s: %+v, %v", e.Code, have, err)
			}
		}
	}
}

func TestFind(t *testing.T) {
	for text, want := range map[string]string{
		"start-deps":                  "koordinator.io/start-deps",
		"koordinator.io/stop-when":    "koordinator.io/stop-when",
		"ready":                       "condition ready",
		"succeeded":                   "condition succeeded",
		"69":                          "exit code 69",
		"exit code 137":               "exit code 137",
		"130":                         "exit code 130",
		"3":                           "exit code 3",
		"ko201":                       "KO201: ",
		`x: no container "a" [KO201]`: "KO201: ",
		"koordinator: stopped: main exited with code 0":                       "stopped",
		"koordinator: killed: it did not end within 30s":                      "killed",
		"koordinator: command not started: migrate exited with code 3":        "command not started",
		"Startup probe failed: waiting 90s for: proxy (ready)":                "waiting for …",
		"Startup probe failed: command timed out":                             "Startup probe failed",
		strings.ToUpper(spec.HeldTooLong[:13]) + spec.HeldTooLong[13:]:        "stopped before",
		"container main: waiting 12s for: tcp://db:5432 (connection refused)": "waiting for …",
	} {
		have, err := Find(text)
		if err != nil || len(have) != 1 || !strings.HasPrefix(have[0].Subject, want) || have[0].Means == "" {
			t.Errorf("%q: %+v, %v", text, have, err)
		}
	}
	if have, err := Find("both [KO201] and [KO203] and [KO201]"); err != nil || len(have) != 2 {
		t.Errorf("two codes: %+v, %v", have, err)
	}
	for text, want := range map[string]string{
		"start-dep": `did you mean "start-deps"?`, "redy": `did you mean "ready"?`, "KO999": "no code KO999", "256": "0 to 255", "something else": "there is no explanation",
	} {
		if have, err := Find(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %q", text, have, err, want)
		}
	}
}

func TestSignalsAreNamed(t *testing.T) {
	have, err := Find("130")
	if err != nil || have[0].Means != "Signal 2 (SIGINT) ended the command." {
		t.Errorf("%+v, %v", have, err)
	}
}

func TestLinesAreShort(t *testing.T) {
	for _, a := range table {
		for line := range strings.Lines(a.entry(a.name).Text()) {
			if len(line) > width+30 { // a long word is not broken
				t.Errorf("%s: %d bytes: %s", a.name, len(line), line)
			}
		}
	}
}

// described returns the printed settings of a container.
func described(t *testing.T, meta map[string]string, labels map[string]string, name string) string {
	t.Helper()
	pod := &corev1.Pod{}
	pod.Annotations, pod.Labels = meta, labels
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	for _, n := range []string{"main", "proxy", "other"} {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: n, Image: "x", Command: []string{"x"}})
	}
	o, err := order.Of(pod, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(o.Containers, func(c order.Container) bool { return c.Name == name })
	d, err := Describe("job/report", o.Asked, o.Containers[i])
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Print(&b); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestSettingsOfAContainer(t *testing.T) {
	meta := map[string]string{
		"koordinator.io/start-deps": "main: proxy=started", "koordinator.io/stop-timeout": "10s",
		"koordinator.io/spec": `{"proxy": {"stopDeps": ["main"], "stoppedExitCode": "child"}}`, "koordinator.io/log-level": "main: debug",
	}
	for name, want := range map[string][]string{
		"main": {
			`job/report, container "main": wrapped SETTING VALUE FROM start-deps proxy=started koordinator.io/start-deps stop-deps none default`,
			"stop-timeout 10s koordinator.io/stop-timeout", "log-level debug koordinator.io/log-level", "stopped-exit-code 0 default",
		},
		"proxy": {"stop-deps main=exited koordinator.io/spec", "stop-signal SIGTERM default", "stopped-exit-code child koordinator.io/spec", "log-level info default", "mode supervise chosen", "stop signal is held until these containers have exited: main"},
		"other": {`container "other": not wrapped It is not wrapped: no annotation is about it`},
	} {
		have := described(t, meta, nil, name)
		for _, w := range want {
			if !strings.Contains(have, w) {
				t.Errorf("%s: no %q in %s", name, w, have)
			}
		}
	}
}

func TestSettingsThatRepeatTheDefault(t *testing.T) {
	have := described(t, map[string]string{
		"koordinator.io/start-deps": "main: proxy", "koordinator.io/mode": "supervise", "koordinator.io/source": "auto", "koordinator.io/stop-signal": "SIGTERM",
	}, nil, "main")
	for _, want := range []string{"mode supervise koordinator.io/mode", "source auto koordinator.io/source", "stop-signal SIGTERM koordinator.io/stop-signal"} {
		if !strings.Contains(have, want) {
			t.Errorf("no %q in %s", want, have)
		}
	}
}

func TestDependenciesOfEveryContainerAreNamed(t *testing.T) {
	have := described(t, map[string]string{"koordinator.io/start-deps": `{"*": [proxy=started]}`, "koordinator.io/stop-deps": `{"*": [main]}`}, nil, "other")
	for _, want := range []string{"start-deps proxy=started koordinator.io/start-deps", "stop-deps main=exited koordinator.io/stop-deps"} {
		if !strings.Contains(have, want) {
			t.Errorf("no %q in %s", want, have)
		}
	}
}

func TestWhatEssentialSetsIsNamed(t *testing.T) {
	if have := described(t, map[string]string{"koordinator.io/essential": "main"}, nil, "proxy"); !strings.Contains(have, "stop-deps main=exited koordinator.io/essential") {
		t.Error(have)
	}
	if have := described(t, nil, map[string]string{"essential-containers": "main"}, "proxy"); !strings.Contains(have, "stop-deps main=succeeded label essential-containers") {
		t.Error(have)
	}
	for container, want := range map[string]string{
		"proxy": "stop-deps main=exited, other=succeeded koordinator.io/essential, label essential-containers",
		"main":  "stop-deps other=succeeded label essential-containers",
		"other": "stop-deps main=exited koordinator.io/essential",
	} {
		have := described(t, map[string]string{"koordinator.io/essential": "main"}, map[string]string{"essential-containers": "other"}, container)
		if !strings.Contains(have, want+" stop-when") {
			t.Errorf("%s: no %q in %s", container, want, have)
		}
	}
}
