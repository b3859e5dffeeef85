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

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// documentation are the pages that users read.
func documentation(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	return append(pages, "../../README.md", "../../charts/koordinator/README.md")
}

// fenced are the code blocks of a language in a page, by the line they begin at.
func fenced(page, language string) map[int]string {
	blocks := map[int]string{}
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "```") {
			continue
		}
		end := i + 1 + slices.Index(lines[i+1:], "```")
		if lines[i] == "```"+language {
			blocks[i+2] = strings.Join(lines[i+1:end], "\n")
		}
		i = end
	}
	return blocks
}

// carrier is as much of a manifest as leads to a pod: of a Pod, of what has a
// pod template, of a CronJob, or of annotations alone.
type carrier struct {
	Annotations map[string]string `json:"annotations"`
	Metadata    metav1.ObjectMeta `json:"metadata"`
	Spec        json.RawMessage   `json:"spec"`
}

// podIn is the pod that a manifest makes, as the API server hands it to us.
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

// podFor is a pod with the containers that annotations speak of.
func podFor(given map[string]string) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "fragment", Annotations: given}}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	names := map[string]bool{}
	asked, _ := annotations.Read(pod.ObjectMeta)
	for _, e := range asked.Essential {
		names[e.Container] = true
	}
	for name, w := range asked.Wishes {
		names[name] = true
		for _, d := range slices.Concat(w.Spec.StartDeps, w.Spec.StopDeps) {
			names[d.Container] = true
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

// mountToken does what the API server does before it asks us.
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

// accepted fails unless a pod is taken without a word, and changed unless that
// was asked for. Specs that are in it already must be right, too.
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

// checkSpec fails unless a spec can be read.
func checkSpec(t *testing.T, text string) {
	t.Helper()
	if _, err := spec.Parse(text); err != nil {
		t.Errorf("%s: %v", text, err)
	}
}

// TestDocumentation reads every example that users are shown.
func TestDocumentation(t *testing.T) {
	for _, page := range documentation(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for line, manifest := range fenced(string(data), "yaml") {
			t.Run(fmt.Sprintf("%s line %d", filepath.Base(page), line), func(t *testing.T) { accepted(t, manifest) })
		}
		for line, text := range fenced(string(data), "json") {
			t.Run(fmt.Sprintf("%s line %d", filepath.Base(page), line), func(t *testing.T) { checkSpec(t, text) })
		}
	}
}

// TestSamples reads the manifests that the documentation tells to apply.
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

// TestEveryAnnotationIsDocumented compares docs/annotations.md with what is
// read: what is read stands in the table and in an example, which
// TestDocumentation runs, and no page names one that is not read.
func TestEveryAnnotationIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/annotations.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	known := annotations.Names()
	for _, name := range inTable(page) {
		if !slices.Contains(known, name) {
			t.Errorf("the table of docs/annotations.md has %q, which is not read", name)
		}
	}
	examples := inExamples(t, page)
	for _, name := range known {
		if name == "status" { // nobody is to write it
			continue
		}
		if !slices.Contains(inTable(page), name) {
			t.Errorf("%s is not in the table of docs/annotations.md", name)
		}
		if !examples[inject.Prefix+name] {
			t.Errorf("%s has no example in docs/annotations.md", name)
		}
	}
	if !examples[inject.EssentialLabel] {
		t.Errorf("label %s has no example in docs/annotations.md", inject.EssentialLabel)
	}
}

// inTable are the annotations in the table of all.
func inTable(page string) []string {
	_, section, _ := strings.Cut(page, "\n## All annotations\n")
	section, _, _ = strings.Cut(section, "\n##")
	var names []string
	for _, row := range regexp.MustCompile("(?m)^\\| \\[?`([^`]+)`").FindAllStringSubmatch(section, -1) {
		names = append(names, row[1])
	}
	return names
}

// inExamples are the annotations and labels that the examples of a page have.
func inExamples(t *testing.T, page string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, manifest := range fenced(page, "yaml") {
		meta := podIn(t, manifest).ObjectMeta
		for key := range meta.Annotations {
			found[key] = true
		}
		for key := range meta.Labels {
			found[key] = true
		}
	}
	return found
}

// TestPagesNameOnlyWhatThereIs among annotations and labels of ours.
func TestPagesNameOnlyWhatThereIs(t *testing.T) {
	labels := []string{strings.TrimPrefix(inject.InjectedLabel, inject.Prefix), "injection"}
	known := slices.Concat(annotations.Names(), labels)
	for _, page := range documentation(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range regexp.MustCompile(`\bkoordinator\.io/([\w-]+)`).FindAllStringSubmatch(string(data), -1) {
			if !slices.Contains(known, named[1]) {
				t.Errorf("%s names %s, which is neither an annotation nor a label", page, named[0])
			}
		}
	}
}

// TestEveryLabelOfAMetricIsDocumented in docs/operations.md, word by word.
func TestEveryLabelOfAMetricIsDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/operations.md")
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
			t.Errorf("docs/operations.md does not say what %q counts", word)
		}
	}
}

// TestLinks follows the links between the pages.
func TestLinks(t *testing.T) {
	for _, page := range documentation(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(data), "](")[1:] {
			link, _, _ := strings.Cut(part, ")")
			if !strings.Contains(link, "://") {
				checkLink(t, page, link)
			}
		}
	}
}

// checkLink fails unless there is such a file, with such a heading.
func checkLink(t *testing.T, page, link string) {
	t.Helper()
	file, anchor, _ := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = filepath.Join(filepath.Dir(page), file)
	}
	data, err := os.ReadFile(target)
	if err != nil {
		if info, serr := os.Stat(target); serr != nil || !info.IsDir() {
			t.Errorf("%s: link %s: %v", page, link, err)
		}
		return
	}
	if anchor == "" {
		return
	}
	for line := range strings.Lines(string(data)) {
		if heading := strings.TrimLeft(line, "#"); heading != line && anchorOf(heading) == anchor {
			return
		}
	}
	t.Errorf("%s: link %s: no such heading", page, link)
}

// anchorOf is the name by which a heading is linked to.
func anchorOf(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(strings.TrimSpace(heading)))
}
