package admission

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/sidecars"
)

var update = flag.Bool("update", false, "write the golden files")

// testSettings returns the settings of every test.
func testSettings() inject.Settings {
	small := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
	}
	return inject.Settings{
		Image:      "koordinator/wrapper:test",
		PullPolicy: corev1.PullIfNotPresent,
		Resources:  corev1.ResourceRequirements{Requests: small, Limits: small},
		Sidecars:   sidecars.Builtin(),
		Version:    "test",
	}
}

// testHandler returns a handler without image lookup.
func testHandler() *Handler {
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	c, err := commands.New(commands.Settings{Timeout: time.Second}, nil, registry, log)
	if err != nil {
		panic(err) // cannot happen without lookups
	}
	return New(testSettings(), c, registry, log)
}

// ask returns the handler's answer to the creation of a pod.
func ask(t *testing.T, pod []byte) admission.Response {
	t.Helper()
	return askBy(t, testSettings(), pod)
}

// askBy returns the answer with other settings.
func askBy(t *testing.T, settings inject.Settings, pod []byte) admission.Response {
	t.Helper()
	h := testHandler()
	h.settings = settings
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create,
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:   runtime.RawExtension{Raw: slices.Clone(pod)},
	}}
	resp := h.Handle(context.Background(), req)
	if err := resp.Complete(req); err != nil {
		t.Fatal(err)
	}
	return resp
}

// patched returns a pod after the answer's patch.
func patched(t *testing.T, pod []byte, resp admission.Response) []byte {
	t.Helper()
	if resp.Patch == nil {
		return pod
	}
	patch, err := jsonpatch.DecodePatch(resp.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := patch.Apply(pod)
	if err != nil {
		t.Fatalf("apply %s: %v", resp.Patch, err)
	}
	return out
}

// words returns the text that a user sees of an answer.
func words(resp admission.Response) string {
	var b strings.Builder
	if !resp.Allowed {
		fmt.Fprintf(&b, "%d %s\n", resp.Result.Code, resp.Result.Message)
	}
	for _, w := range resp.Warnings {
		fmt.Fprintf(&b, "Warning: %s\n", w)
	}
	return b.String()
}

// Each archive contains pod.yaml, words.txt and, if the pod is changed,
// patched.yaml.
func TestInject(t *testing.T) {
	paths, err := filepath.Glob("testdata/inject/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, path, archive)
		})
	}
}

func golden(t *testing.T, path string, archive *txtar.Archive) {
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "pod.yaml" })
	pod, err := yaml.YAMLToJSONStrict(archive.Files[i].Data)
	if err != nil {
		t.Fatal(err)
	}
	resp := ask(t, pod)
	result := patched(t, pod, resp)

	want := &txtar.Archive{Comment: archive.Comment, Files: []txtar.File{archive.Files[i], {Name: "words.txt", Data: []byte(words(resp))}}}
	if resp.Patch != nil {
		text, err := yaml.JSONToYAML(result)
		if err != nil {
			t.Fatal(err)
		}
		want.Files = append(want.Files, txtar.File{Name: "patched.yaml", Data: text})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(txtar.Format(archive)), string(txtar.Format(want))); diff != "" && !*update {
		t.Errorf("stale, run go test ./webhook/admission -update (-file +now):\n%s", diff)
	}
	if !resp.Allowed {
		return
	}
	again := ask(t, result)
	if again.Patch != nil || words(again) != words(resp) {
		t.Errorf("the second call is no no-op: patch %s, words %q", again.Patch, words(again))
	}
	checkUnknownFields(t, pod)
	checkUntouched(t, pod)
	checkSecurity(t, pod, result)
	if resp.Patch != nil {
		checkOperations(t, pod, resp)
	}
}

// checkUntouched fails if the pod that was read is changed.
func checkUntouched(t *testing.T, raw []byte) {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	before := pod.DeepCopy()
	asked, _ := annotations.Read(pod.ObjectMeta, nil)
	plan := inject.Plan(&pod, asked, testSettings())
	inject.Rewrite(inject.Complete(plan, inject.Found{}))
	if diff := cmp.Diff(before, &pod); diff != "" {
		t.Errorf("the pod that was read has changed (-before +after):\n%s", diff)
	}
}

// unknownField is a member that is not in the API types.
const unknownField = "fieldOfTheFuture"

// takenOver matches the objects that koordinator replaces, so that no member of
// them can survive.
var takenOver = regexp.MustCompile(`\.startupProbe\.(httpGet|tcpSocket|grpc)\b|\.lifecycle\.(postStart|preStop\.(httpGet|sleep))\b`)

// checkUnknownFields fails unless an unknown field in every object of the pod is
// still in the same object after the patch.
func checkUnknownFields(t *testing.T, raw []byte) {
	t.Helper()
	var pod any
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	planted := map[string]bool{}
	objects(pod, "", func(path string, object map[string]any) {
		object[unknownField] = path
		planted[path] = true
	})
	future, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	var result any
	if err := json.Unmarshal(patched(t, future, ask(t, future)), &result); err != nil {
		t.Fatal(err)
	}
	objects(result, "", func(path string, object map[string]any) {
		was, found := object[unknownField]
		if found && was != path {
			t.Errorf("the unknown field of %v has moved to %s", was, path)
		}
		if found {
			delete(planted, path)
		}
	})
	for path := range planted {
		if takenOver.MatchString(path) {
			continue
		}
		t.Errorf("the unknown field of %s is lost", path)
	}
}

// objects visits every JSON object except maps with user-defined keys. In the path,
// elements of a list are identified by their mountPath or name, if they have one.
func objects(v any, path string, visit func(path string, object map[string]any)) {
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			name := fmt.Sprint(i)
			if o, ok := item.(map[string]any); ok && o["mountPath"] != nil {
				name = fmt.Sprint(o["mountPath"])
			} else if ok && o["name"] != nil {
				name = fmt.Sprint(o["name"])
			}
			objects(item, path+"["+name+"]", visit)
		}
	case map[string]any:
		for key, item := range v {
			objects(item, path+"."+key, visit)
		}
		for _, own := range []string{".labels", ".annotations", ".limits", ".requests", ".nodeSelector"} {
			if strings.HasSuffix(path, own) {
				return
			}
		}
		visit(path, v)
	}
}
