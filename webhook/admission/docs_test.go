package admission

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/docs"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// root is the relative path of the repository's root.
const root = "../.."

// documentation returns the pages for users with their code blocks. It omits the
// page of messages, because its examples are all invalid; another test reads it.
func documentation(t *testing.T) map[string][]docs.Block {
	t.Helper()
	pages, err := docs.Pages(root)
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	all := map[string][]docs.Block{}
	for _, page := range pages {
		if page != "docs/reference/messages.md" {
			all[page] = blocks(t, page)
		}
	}
	return all
}

// blocks returns the code blocks of a page.
func blocks(t *testing.T, page string) []docs.Block {
	t.Helper()
	all, err := docs.Blocks(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// carrier contains only the fields of a manifest that lead to a pod: of a Pod, of
// an object with a pod template, of a CronJob, or of annotations alone.
type carrier struct {
	Annotations map[string]string `json:"annotations"`
	Metadata    metav1.ObjectMeta `json:"metadata"`
	Spec        json.RawMessage   `json:"spec"`
}

// podIn returns the pod that a manifest creates, as the API server sends it to
// the webhook.
func podIn(t *testing.T, manifest string) corev1.Pod {
	t.Helper()
	var w carrier
	if err := yaml.Unmarshal([]byte(manifest), &w); err != nil {
		t.Fatal(err)
	}
	if w.Spec == nil {
		return podFor(w.Annotations)
	}
	var inner struct {
		Template, JobTemplate *carrier
	}
	for {
		inner.Template, inner.JobTemplate = nil, nil
		if err := json.Unmarshal(w.Spec, &inner); err != nil {
			t.Fatal(err)
		}
		switch {
		case inner.JobTemplate != nil:
			w = *inner.JobTemplate
		case inner.Template != nil:
			w = *inner.Template
		default:
			pod := corev1.Pod{ObjectMeta: w.Metadata}
			if err := json.Unmarshal(w.Spec, &pod.Spec); err != nil {
				t.Fatal(err)
			}
			return pod
		}
	}
}

// podFor returns a pod with the containers that annotations name.
func podFor(given map[string]string) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "fragment", Annotations: given}}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	names := map[string]bool{}
	asked, _ := annotations.Read(pod.ObjectMeta, nil)
	for _, e := range asked.Essential {
		names[e.Container] = true
	}
	for name, w := range asked.Wishes {
		names[name] = true
		for _, d := range slices.Concat(w.Spec.StartDeps, w.Spec.StopDeps) {
			names[d.Container] = true
		}
		for _, other := range w.Spec.RestartWith {
			names[other] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := corev1.Container{Name: name, Image: name, ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/ready"}}},
		}}
		if asked.Wishes[name].Command == nil {
			c.Command = []string{"/" + name}
		}
		pod.Spec.Containers = append(pod.Spec.Containers, c)
	}
	return pod
}

// mountToken mounts the token like the API server does before it calls the
// webhook.
func mountToken(pod *corev1.Pod) {
	if mount := pod.Spec.AutomountServiceAccountToken; mount != nil && !*mount {
		return
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: "token", MountPath: spec.APIAccess, ReadOnly: true})
		}
	}
}

// accepted fails unless a pod is accepted without a warning, and changed unless
// its annotations prevent that. Specs that are already in it must be valid, too.
func accepted(t *testing.T, manifest string) {
	t.Helper()
	pod := podIn(t, manifest)
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, e := range c.Env {
			if e.Name == spec.Env {
				checkSpec(t, e.Value)
			}
		}
	}
	if !annotations.Present(pod.ObjectMeta) {
		return
	}
	mountToken(&pod)
	raw, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	resp := ask(t, raw)
	if said := words(resp); said != "" {
		t.Errorf("the example is refused or warned of: %s", said)
	}
	if resp.Allowed && resp.Patch == nil && pod.Annotations[inject.Prefix+"inject"] != "false" {
		t.Error("the example changes nothing")
	}
}

// checkSpec fails unless a spec can be parsed.
func checkSpec(t *testing.T, text string) {
	t.Helper()
	if _, err := spec.Parse(text); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// TestDocumentation reads every example in the pages for users.
func TestDocumentation(t *testing.T) {
	for page, blocks := range documentation(t) {
		for _, b := range blocks {
			t.Run(fmt.Sprintf("%s line %d", page, b.Line), func(t *testing.T) {
				switch b.Language {
				case "yaml":
					accepted(t, b.Text)
				case "json":
					checkSpec(t, b.Text)
				}
			})
		}
	}
}

// TestSamples reads the manifests to apply in the documentation.
func TestSamples(t *testing.T) {
	paths, err := filepath.Glob("../../config/samples/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			accepted(t, string(data))
		})
	}
}

// TestEveryAnnotationIsDocumented compares docs/reference/annotations.md with the
// code. Every annotation that the code reads must be in the table and in an
// example, which TestDocumentation runs, and no page may name an annotation that
// the code does not read.
func TestEveryAnnotationIsDocumented(t *testing.T) {
	const path = "docs/reference/annotations.md"
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	known := annotations.Names()
	for _, name := range inTable(page) {
		if !slices.Contains(known, name) {
			t.Errorf("the table of docs/reference/annotations.md has %q, which is not read", name)
		}
	}
	examples := inExamples(t, blocks(t, path))
	for _, name := range known {
		if name == "status" { // users must not set it
			continue
		}
		if !slices.Contains(inTable(page), name) {
			t.Errorf("%s is not in the table of docs/reference/annotations.md", name)
		}
		if !examples[inject.Prefix+name] {
			t.Errorf("%s has no example in docs/reference/annotations.md", name)
		}
	}
	if !examples[inject.EssentialLabel] {
		t.Errorf("label %s has no example in docs/reference/annotations.md", inject.EssentialLabel)
	}
}

// inTable returns the annotations in the table of all annotations.
func inTable(page string) []string {
	_, section, _ := strings.Cut(page, "\n## All annotations\n")
	section, _, _ = strings.Cut(section, "\n##")
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| \\[?`([^`]+)`").FindAllStringSubmatch(section, -1) {
		names = append(names, row[1])
	}
	return names
}

// inExamples returns the annotations and labels in the examples of a page.
func inExamples(t *testing.T, blocks []docs.Block) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, b := range blocks {
		if b.Language != "yaml" {
			continue
		}
		meta := podIn(t, b.Text).ObjectMeta
		for key := range meta.Annotations {
			found[key] = true
		}
		for key := range meta.Labels {
			found[key] = true
		}
	}
	return found
}

// TestPagesNameOnlyWhatThereIs checks the koordinator annotations and labels that
// pages name.
func TestPagesNameOnlyWhatThereIs(t *testing.T) {
	labels := []string{strings.TrimPrefix(inject.InjectedLabel, inject.Prefix), "injection"}
	known := slices.Concat(annotations.Names(), labels)
	for page := range documentation(t) {
		data, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range regexp.MustCompile(`(?:^|[^/\w])koordinator\.io/([\w-]+)`).FindAllStringSubmatch(string(data), -1) {
			if !slices.Contains(known, named[1]) {
				t.Errorf("%s names %s, which is neither an annotation nor a label", page, named[0])
			}
		}
	}
}

// TestEveryLabelOfAMetricIsDocumented checks that docs/reference/metrics.md lists
// every label value.
func TestEveryLabelOfAMetricIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	words := slices.Clone(lookupWords)
	for _, counted := range decisionWords {
		decision, reason, _ := strings.Cut(counted, "/")
		words = append(words, decision, reason)
	}
	for _, word := range words {
		if word != "" && !strings.Contains(string(data), "`"+word+"`") {
			t.Errorf("docs/reference/metrics.md does not say what %q counts", word)
		}
	}
}
