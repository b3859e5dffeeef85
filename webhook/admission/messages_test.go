package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/txtar"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/sketch"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/image"
	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// exampleHost is the registry in examples.
const exampleHost = "registry.example"

// Every code has an example that causes this code and no other, and the page
// shows it. The codes of the command-line tool have their examples in its own
// stories.
func TestThePageOfMessages(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/messages.txtar")
	if err != nil {
		t.Fatal(err)
	}
	host := exampleRegistry(t)
	var page strings.Builder
	page.WriteString(messagesIntro)
	for _, group := range messages.Table() {
		fmt.Fprintf(&page, "\n## %s\n\n| code | |\n|---|---|\n", group.Title)
		for _, e := range group.Entries {
			fmt.Fprintf(&page, "| [%s](#%s) | %s |\n", e.Code, strings.ToLower(string(e.Code)), e.Title)
		}
		for _, e := range group.Entries {
			if group.Tool {
				explain(&page, e)
				continue
			}
			i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return strings.HasPrefix(f.Name, string(e.Code)+".") })
			if i < 0 {
				t.Errorf("testdata/messages.txtar has no example of %s", e.Code)
				continue
			}
			section(&page, e, archive.Files[i], messagesOf(t, e.Code, archive.Files[i], host))
		}
	}
	const path = "../../docs/reference/messages.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, path)), page.String()); diff != "" {
		t.Errorf("docs/reference/messages.md is stale, run make generate (-file +now):\n%s", diff)
	}
}

const messagesIntro = `# Messages

<!-- Made by make generate from webhook/messages and webhook/admission/testdata/messages.txtar. -->

koordinator reports problems of a pod, or of the pod template of a workload, in one form:

` + "```text\nPLACE: PROBLEM. REMEDY [CODE]\n```" + `

The place is the path of the field in the object that was applied. If a pod or workload has problems, koordinator
rejects it and lists all problems. Settings that are valid but may not do what you expect cause a warning. This page explains each code. Each
example shows a short manifest that causes the message, without ` + "`apiVersion`, `kind` and `metadata.name`" + `.
`

// section writes the page's section about a code.
func section(page *strings.Builder, e messages.Entry, example txtar.File, said []string) {
	language := strings.TrimPrefix(example.Name, string(e.Code)+".")
	explain(page, e)
	fmt.Fprintf(page, "\n```%s\n%s```\n\n", language, example.Data)
	fmt.Fprintf(page, "```text\n%s\n```\n", strings.Join(said, "\n"))
}

// explain writes the explanation of a code.
func explain(page *strings.Builder, e messages.Entry) {
	fmt.Fprintf(page, "\n### %s\n\n**%s.** %s\n\n%s\n", e.Code, e.Title, e.Means, e.Mend)
}

var (
	codeAtEnd = regexp.MustCompile(` \[(KO\d{3})\]$`)
	position  = regexp.MustCompile(`^\(\d+ of \d+\) `)
)

// messagesOf returns the messages of an example. All of them must have the code.
func messagesOf(t *testing.T, code messages.Code, example txtar.File, host string) []string {
	t.Helper()
	text := strings.ReplaceAll(string(example.Data), exampleHost, host)
	var said []string
	if strings.HasSuffix(example.Name, ".json") {
		said = specSays(t, text)
	} else {
		said = podSays(t, code, lengthened(text), host)
	}
	if len(said) == 0 {
		t.Errorf("the example of %s causes no message", code)
	}
	var own []string
	for _, line := range said {
		line = strings.ReplaceAll(line, host, exampleHost)
		switch m := codeAtEnd.FindStringSubmatch(line); {
		case m == nil || m[1] != string(code) && m[1] != string(beside[code]):
			t.Errorf("the example of %s also causes: %s", code, line)
		case m[1] == string(code):
			own = append(own, line)
		}
	}
	return own
}

// beside are codes that the examples of other codes inevitably cause.
var beside = map[messages.Code]messages.Code{
	messages.TooManyDryLookups: messages.TagMayMove, // each of the images has a tag
	messages.ImageStopSignal:   messages.TagMayMove,
}

// lengthened returns an example with its abbreviations written out: "x…" is a
// long text, and "# and 200 more" stands for that many containers.
func lengthened(text string) string {
	text = strings.ReplaceAll(text, "x…", strings.Repeat("x", 140_000))
	var more strings.Builder
	for i := range 200 {
		fmt.Fprintf(&more, "- {name: c%d, image: app, command: [/app]}\n    ", i)
	}
	return strings.Replace(text, "# and 200 more", more.String(), 1)
}

// specSays returns the problems that the wrapper reports about a spec.
func specSays(t *testing.T, text string) (said []string) {
	t.Helper()
	_, err := spec.Parse(text)
	problems, _ := errors.AsType[spec.Problems](err)
	for _, p := range problems {
		said = append(said, spec.Env+": "+p.String())
	}
	return said
}

// podSays returns the problems that the webhook and the policies report about a
// manifest.
func podSays(t *testing.T, code messages.Code, manifest, host string) []string {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	request := map[string]any{"namespace": "shop", "operation": "CREATE"}
	switch code {
	case messages.NotProcessed:
		return []string{says(t, chartPolicy(t, refusesUninjected), tree(t, raw), request)}
	case messages.NamespaceNotOn:
		return []string{says(t, chartPolicy(t, "koordinator-warn-unlabelled-pods"), tree(t, raw), request)}
	case messages.Misplaced:
		return []string{says(t, chartPolicy(t, "koordinator-warn-misplaced-workloads"), tree(t, raw), request)}
	case messages.MisplacedLabel:
		return []string{says(t, chartPolicy(t, "koordinator-warn-misplaced-namespaces"), tree(t, raw), request)}
	default: // the webhook reports it
	}
	var pod map[string]any
	if err := json.Unmarshal(raw, &pod); err != nil {
		t.Fatal(err)
	}
	withToken(pod)
	if raw, err = json.Marshal(pod); err != nil {
		t.Fatal(err)
	}
	resp := exampleHandler(t, code, host).Handle(context.Background(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create, DryRun: new(code == messages.TooManyDryLookups),
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"}, Object: runtime.RawExtension{Raw: raw},
	}})
	var said []string
	if !resp.Allowed {
		for line := range strings.SplitSeq(resp.Result.Message, "\n") {
			said = append(said, position.ReplaceAllString(line, ""))
		}
	}
	for _, w := range resp.Warnings {
		said = append(said, "Warning: "+w)
	}
	return said
}

// withToken mounts a token in each container, like the API server. Tests of pods
// without a token do not use it.
func withToken(pod map[string]any) {
	spec, _ := pod["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers"} {
		containers, _ := spec[list].([]any)
		for _, c := range containers {
			c := c.(map[string]any)
			mounts, _ := c["volumeMounts"].([]any)
			c["volumeMounts"] = append(mounts, map[string]any{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true})
		}
	}
}

// exampleHandler returns the handler of an installation in which an example
// causes the code.
func exampleHandler(t *testing.T, code messages.Code, host string) *Handler {
	t.Helper()
	reg, quiet := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	sources := commands.Settings{Lookup: code != messages.CommandUnknown, Timeout: time.Second}
	sources.Image = image.Settings{Loopback: []string{host}, PlainHTTP: []string{host}}
	finder, err := commands.New(sources, nil, reg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	settings := testSettings()
	settings.SkipTrouble = code == messages.LeftAlone
	return New(settings, finder, reg, quiet)
}

// exampleRegistry starts the registry of the examples and returns its host. The
// name of an image determines the registry's answer.
func exampleRegistry(t *testing.T) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	answers := map[string]int{"private": http.StatusUnauthorized, "limited": http.StatusTooManyRequests, "down": http.StatusServiceUnavailable, "broken": http.StatusBadRequest}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if status, found := answers[name]; found {
			w.WriteHeader(status)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s := &shop{host: server.Listener.Addr().String()}
	for as, config := range map[string]v1.Config{
		"app:1": {Entrypoint: []string{"/app"}}, "silent:1": {}, "signal:1": {Entrypoint: []string{"/app"}, StopSignal: "SIGNONE"},
	} {
		s.push(t, as, map[string]v1.Config{"linux/amd64": config})
	}
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		s.push(t, name+":1", map[string]v1.Config{"linux/amd64": {Entrypoint: []string{"/" + name}}})
	}
	s.push(t, "windows:1", map[string]v1.Config{"windows/amd64": {Entrypoint: []string{"app.exe"}}})
	return s.host
}

// Every code in the source is explained once, and no two codes have the same
// number.
func TestEveryCodeIsExplained(t *testing.T) {
	number := regexp.MustCompile(`"(KO\d{3})"`)
	explained := map[string]int{}
	for _, group := range messages.Table() {
		for _, e := range group.Entries {
			explained[string(e.Code)]++
			if e.Title == "" || e.Means == "" || e.Mend == "" {
				t.Errorf("%s is not explained in full", e.Code)
			}
		}
	}
	for _, path := range []string{"../messages/codes.go", "../../wrapper/spec/problem.go"} {
		for _, m := range number.FindAllStringSubmatch(string(read(t, path)), -1) {
			if explained[m[1]] != 1 {
				t.Errorf("%s: %s is explained %d times, or is the number of two kinds", path, m[1], explained[m[1]])
			}
			delete(explained, m[1])
		}
	}
	for code := range explained {
		t.Errorf("%s is explained, and no code", code)
	}
}

// Every problem of any pod has a code that is explained.
func TestEveryProblemHasACode(t *testing.T) {
	count := 0
	for seed := range uint64(1000) {
		problems, warnings := Check(sketch.Any(seed, 2), nil, testSettings())
		for _, p := range slices.Concat(problems, warnings) {
			if _, found := messages.Explain(p.Code); !found || p.Path.String() == "" || p.Sentence == "" {
				t.Fatalf("seed %d: %q", seed, p)
			}
			count++
		}
	}
	if count < 1000 {
		t.Errorf("%d problems say little", count)
	}
}
