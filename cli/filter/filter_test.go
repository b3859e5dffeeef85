package filter

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	ctrladmission "sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	syaml "sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/test/corpus"
	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/image"
	"koordinator.io/koordinator/webhook/inject"
	webhookrules "koordinator.io/koordinator/webhook/rules"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/spec"
)

var settings = inject.Settings{Image: "registry.example/wrapper:1", PullPolicy: corev1.PullIfNotPresent, Sidecars: sidecars.Builtin()}

// known returns settings with a command index in which every image runs the same command.
func known(t *testing.T) commands.Settings {
	t.Helper()
	index, problems := image.ParseIndex(map[string]string{"index": `{"*": ["/entry"], "*/*": ["/entry"], "*/*/*": ["/entry"], "registry.k8s.io/*": ["/entry"], "ghcr.io/*/*": ["/entry"]}`})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return commands.Settings{Known: index, Timeout: 1e9}
}

func offline(t *testing.T) *Webhook {
	t.Helper()
	w, err := NewWebhook(settings, known(t))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// online returns a pod as the API server would create it. It adds the token's volume and
// mounts to the pod, sends it to a webhook, applies the patch, and removes the token again.
func online(t *testing.T, pod *corev1.Pod) map[string]any {
	t.Helper()
	pod = pod.DeepCopy()
	const volume = "kube-api-access-x7k2p"
	if mount := pod.Spec.AutomountServiceAccountToken; mount == nil || *mount {
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
			Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}}},
		}})
		for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range list {
				list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: volume, MountPath: spec.APIAccess, ReadOnly: true})
			}
		}
	}
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	finder, err := commands.New(known(t), nil, registry, log)
	if err != nil {
		t.Fatal(err)
	}
	answer := admission.New(settings, finder, registry, log).Handle(context.Background(), ctrladmission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Operation: admissionv1.Create, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"}, Object: runtime.RawExtension{Raw: raw},
	}})
	if !answer.Allowed || len(answer.Patch) == 0 {
		t.Fatalf("not injected: %v", answer.Result)
	}
	made, err := patched(raw, answer.Patch)
	if err != nil {
		t.Fatal(err)
	}
	var after map[string]any
	if err := utiljson.Unmarshal(made, &after); err != nil {
		t.Fatal(err)
	}
	without(after["spec"].(map[string]any), "volumes", volume)
	for _, c := range containers(after) {
		without(c, "volumeMounts", volume)
	}
	return after
}

// without removes the elements with a name from a list, and the list if it is then empty.
func without(object map[string]any, list, name string) {
	all, _ := object[list].([]any)
	var rest []any
	for _, element := range all {
		if element.(map[string]any)["name"] != name {
			rest = append(rest, element)
		}
	}
	if object[list] = rest; rest == nil {
		delete(object, list)
	}
}

// asYAML returns a pod as a manifest that people could have written, with comments and
// in one of several forms.
func asYAML(t *testing.T, pod *corev1.Pod, form int) string {
	t.Helper()
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	text, err := syaml.JSONToYAML(raw)
	if err != nil {
		t.Fatal(err)
	}
	result := string(text)
	switch form {
	case 1: // comments after and between lines, a separator, another document
		result = regexp.MustCompile(`(?m)^( *)(- )?(name|image): (.*)$`).ReplaceAllString(result, "$1# about $4\n$1$2$3:   $4  # why")
		result = "# head\n---\n# two\n" + result + "# end\n---\nkind: ConfigMap\napiVersion: v1\nmetadata: {name:   x}\n"
	case 2: // JSON
		return string(raw)
	case 3: // no newline at the end
		return strings.TrimSuffix(result, "\n")
	case 4: // a List
		return "apiVersion: v1\nkind: List\nitems:\n- # first\n  " + strings.ReplaceAll(strings.TrimSuffix(result, "\n"), "\n", "\n  ") + "\n"
	}
	return result
}

// TestOfflineIsOnline injects every pod of the corpus in both ways and compares the
// results.
func TestOfflineIsOnline(t *testing.T) {
	webhook, whole := offline(t), 0
	for i, template := range corpus.Templates() {
		text := asYAML(t, template.Pod, i%5)
		have, outcomes, err := Inject("test", text, webhook, nil)
		if err != nil || len(outcomes[0].Problems) > 0 {
			t.Fatalf("%s: %v %v\n%s", template.Name, err, outcomes, text)
		}
		documents, problems := document.Parse("test", have)
		if len(problems) > 0 {
			t.Fatalf("%s: %v\n%s", template.Name, problems, have)
		}
		value := documents[0].Value
		if i%5 == 1 {
			value = documents[1].Value
		}
		if items, isList := value["items"].([]any); isList {
			value = items[0].(map[string]any)
		}
		if diff := cmp.Diff(canonical(t, online(t, template.Pod)), canonical(t, value)); diff != "" {
			t.Fatalf("%s (-online +offline):\n%s", template.Name, diff)
		}
		if back, changed, err := Undo(have); err != nil || !changed || back != text {
			t.Fatalf("%s: %v (-before +injected and back):\n%s", template.Name, err, cmp.Diff(text, back))
		}
		again, outcomes, err := Inject("test", have, webhook, nil)
		if err != nil || again != have {
			t.Fatalf("%s: injected again: %v %v (-once +twice):\n%s", template.Name, err, outcomes, cmp.Diff(have, again))
		}
		if strings.Contains(have, was+"kind: Pod") && i%5 != 2 {
			whole++
		}
	}
	if whole > 0 {
		t.Errorf("%d pods were replaced as a whole", whole)
	}
}

// canonical returns a value as JSON with sorted fields.
func canonical(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestGoldenFiles compares the result of each testdata/*.yaml with its golden file,
// checks its value, and undoes the injection.
func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		have, outcomes, err := Inject(file, string(text), offline(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, o := range outcomes {
			fmt.Fprintf(&b, "%s %v skipped=%q problems=%q\n", o.Object, o.Wrapped, o.Skipped, o.Problems)
		}
		golden := strings.TrimSuffix(file, ".yaml") + ".golden"
		whole := have + "\n=== " + b.String()
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(whole), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || string(want) != whole {
			t.Errorf("%s: %v (-want +have):\n%s", file, err, cmp.Diff(string(want), whole))
		}
		if back, _, err := Undo(have); err != nil || back != string(text) {
			t.Errorf("%s: %v (-before +after):\n%s", file, err, cmp.Diff(string(text), back))
		}
	}
}

// TestEditsOfAnyForm changes values in texts of many forms, parses the results, and
// compares them with the intended values.
func TestEditsOfAnyForm(t *testing.T) {
	for _, text := range []string{
		"a: {b: 1, c: [x, 'y # z']} # note\nd: |\n  # no comment\n  text\n\ne: 1\n",
		"a:\n  b: 1\n  s: \"x\n    # no comment\n    y\"\n# end\nd: >+\n  text\n\n\ne: plain\n  goes on\n",
		"- no object\n", "a: &x {b: 1}\nd: *x\ne: 1\n", "a:\n- b: 1\n  c: 2\n-   b: 3\nd:\n  - - 1\n    - 2\ne:\n", "{a: {b: 1}, d: 2, e: 3}\n",
		"a: {\n  b: 1,\n  c: 2 # }\n  }\nd: ''\ne: 'it''s\n  # no comment'\n", "---\r\na:\r\n  b: 1\r\nd: 2\r\ne: 3\r\n",
		"a:\n    b:\n        c: 1\nd: 2\n\n# about e\ne: 3\n...\n", "? a\n: b: 1\nd: 1\ne: 2\n", "--- {a: {b: 1}, d: 2, e: 3}\n",
	} {
		documents, problems := document.Parse("test", text)
		if len(problems) > 0 {
			continue // not an object
		}
		d := documents[len(documents)-1]
		for name, change := range changes {
			after := copied(d.Value).(map[string]any)
			change(after)
			have, err := rewrite(d, after)
			if err != nil {
				t.Fatal(err)
			}
			value, err := document.Decode(have)
			if back, _, uerr := Undo(have); err != nil || uerr != nil || !reflect.DeepEqual(value, after) || back != text {
				t.Errorf("%s in %q: %v %v\n%s\n%v\nback: %q", name, text, err, uerr, have, after, back)
			}
		}
	}
}

// changes are values into which the tests change an object with the fields a, d and e.
var changes = map[string]func(map[string]any){
	"a new field": func(v map[string]any) {
		v["z"] = map[string]any{"text": "line\n# 2", "list": []any{int64(1), "on", "1e3", nil}}
	},
	"a field less":        func(v map[string]any) { delete(v, "d") },
	"the first less":      func(v map[string]any) { delete(v, "a") },
	"another value":       func(v map[string]any) { v["d"] = "~" },
	"another first value": func(v map[string]any) { v["a"] = []any{} },
	"the last":            func(v map[string]any) { v["e"] = true },
	"below": func(v map[string]any) {
		if m, is := v["a"].(map[string]any); is {
			m["b"], m["n"] = "x: y", "new"
		}
		if l, is := v["a"].([]any); is {
			v["a"] = append([]any{"first"}, append(l, map[string]any{"name": "last"})...)
		}
	},
	"all at once": func(v map[string]any) { delete(v, "e"); v["a"], v["n"] = int64(7), "" },
}

func TestAnUnfinishedTextIsNotTakenBack(t *testing.T) {
	for _, text := range []string{begins + "\na: b\n", ends + "\n", begins + "\n" + begins + "\n" + ends + "\n"} {
		if _, _, err := Undo(text); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
	if same, changed, err := Undo("a: b"); same != "a: b" || changed || err != nil {
		t.Error(same, changed, err)
	}
}

// A rendered text must parse to the same value, by YAML 1.1 as well.
func TestTextsSurvive(t *testing.T) {
	for _, text := range []string{"on", "y", "1e3", "0x1", "1:30", "~", "null", "", " x", "a: b", "#", "é", "\"'", "a\nb", "true", "=", "<<", "2001-01-01", "0o7", "_1", ".inf", "shop/app:1", "/bin/sh", "TCP", "Never", "inf.0", "a/b", "1.2/3"} {
		lines, err := render(map[string]any{"key": text, text: text}, "  ")
		if err != nil {
			t.Fatal(err)
		}
		raw, err := syaml.YAMLToJSON([]byte(strings.Join(lines, "\n")))
		var value map[string]any
		if err == nil {
			err = utiljson.Unmarshal(raw, &value)
		}
		if err != nil || value["key"] != text || value[text] != text {
			t.Errorf("%q became %v (%v): %q", text, value, err, lines)
		}
	}
}

func TestRulesGiveAnnotations(t *testing.T) {
	const manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, labels: {app: web}} # a comment\nspec: {containers: [{name: main, image: a, command: [a]}, {name: proxy, image: b, command: [b]}]}\n"
	rule := func(selector map[string]string, deps string, policy admissionregistrationv1.FailurePolicyType) rules.Rule {
		return rules.Rule{
			PodSelector: &metav1.LabelSelector{MatchLabels: selector},
			Rule:        webhookrules.Rule{Name: "mesh", FailurePolicy: policy, Annotations: map[string]string{"koordinator.io/start-deps": deps}},
		}
	}
	web := map[string]string{"app": "web"}
	for name, tt := range map[string]struct {
		rule              rules.Rule
		skipped, problems string
		wrapped           int
	}{
		"it fits":                      {rule(web, "main: proxy=started", "Fail"), "", "", 2},
		"it is for other pods":         {rule(map[string]string{"app": "db"}, "main: proxy=started", "Fail"), "it has no koordinator annotation", "", 0},
		"it does not fit":              {rule(web, "main: none", "Ignore"), "it has no koordinator annotation", "", 0},
		"it does not fit, and rejects": {rule(web, "main: none", "Fail"), "", `koordinator rule "mesh": this pod has no container "none"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := offline(t)
			w.Rules = []rules.Rule{tt.rule}
			text, outcomes, err := Inject("x", manifest, w, nil)
			if err != nil || len(outcomes) != 1 {
				t.Fatalf("%d outcomes, %v", len(outcomes), err)
			}
			o := outcomes[0]
			if o.Skipped != tt.skipped || len(o.Wrapped) != tt.wrapped || !strings.Contains(strings.Join(o.Problems, " "), tt.problems) || len(o.Problems) > 0 != (tt.problems != "") {
				t.Errorf("outcome %+v", o)
			}
			if tt.wrapped > 0 && (!strings.Contains(text, `"rule":"mesh"`) && !strings.Contains(text, `\"rule\":\"mesh\"`) || !strings.Contains(text, "main: proxy=started")) {
				t.Errorf("text:\n%s", text)
			}
			if back, _, err := Undo(text); err != nil || back != manifest {
				t.Errorf("undone: %v\n%s", err, back)
			}
		})
	}
}

// Keys of a custom resource may contain any characters.
func TestTemplatesBelowAnyKey(t *testing.T) {
	for _, key := range []string{"v1.2", "a[0]", "a[b", "a]", "[0]", "[*]", ".", "", "0", "a b", "a/b", "null", "ü"} {
		for name, form := range map[string]string{
			"a map":          "spec:\n  pools:\n    %s:\n      template:%s",
			"the first key":  "%s:\n  template:%s",
			"within a list":  "spec:\n  pools:\n  - first: 1\n  - %s:\n      template:%s",
			"a list of them": "spec:\n  %s:\n  - template:%s",
		} {
			template := ` {metadata: {annotations: {koordinator.io/start-deps: "main: proxy=started"}}, spec: {restartPolicy: Never, containers: [{name: main, image: x, command: [/m]}, {name: proxy, image: x, command: [/p]}]}}`
			text := "apiVersion: example.com/v1\nkind: Pool\nmetadata: {name: js}\n" + fmt.Sprintf(form, fmt.Sprintf("%q", key), template) + "\n"
			after, outcomes, err := Inject("pool.yaml", text, offline(t), nil)
			if err != nil || len(outcomes) != 1 || len(outcomes[0].Wrapped) != 2 {
				t.Errorf("%s, key %q: %v, %+v", name, key, err, outcomes)
				continue
			}
			if n := strings.Count(Plain(after), spec.Env); n != 2 {
				t.Errorf("%s, key %q: %d specs in\n%s", name, key, n, after)
			}
			if before, _, err := Undo(after); err != nil || before != text {
				t.Errorf("%s, key %q: restored (%v):\n%s", name, key, err, before)
			}
		}
	}
}

func TestALaterRuleDoesNotApplyWhereTheFirstDoesNot(t *testing.T) {
	const manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: main, image: a, command: [a]}, {name: proxy, image: b, command: [b]}]}\n"
	w := offline(t)
	for _, r := range [][2]string{{"first", "main: none"}, {"later", "main: proxy=started"}} {
		w.Rules = append(w.Rules, rules.Rule{Containers: []string{"main"}, Rule: webhookrules.Rule{
			Name: r[0], FailurePolicy: admissionregistrationv1.Ignore, Annotations: map[string]string{"koordinator.io/start-deps": r[1]},
		}})
	}
	text, outcomes, err := Inject("x", manifest, w, nil)
	if err != nil || text != manifest || len(outcomes) != 1 || len(outcomes[0].Warnings) != 1 {
		t.Errorf("%v, outcomes %+v, text:\n%s", err, outcomes, text)
	}
}
