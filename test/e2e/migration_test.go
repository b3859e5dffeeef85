//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/test/docs"
)

// change is one section of docs/how-to/migrate.md.
type change struct{ before, after string }

// changes returns the sections by their titles: each has two YAML blocks.
func changes(t *testing.T) map[string]change {
	t.Helper()
	const page = "docs/how-to/migrate.md"
	blocks, err := docs.Blocks(filepath.Join(cluster.Root, page))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]change{}
	for _, b := range blocks {
		if _, done := all[b.Section]; done || b.Language != "yaml" {
			continue
		}
		pair := examples(t, page, b.Section)
		if len(pair) != 2 {
			t.Fatalf("%s has %d YAML blocks, want a before and an after", b.Section, len(pair))
		}
		all[b.Section] = change{pair[0], pair[1]}
	}
	return all
}

// TestMigration runs the examples of docs/how-to/migrate.md. Every example of the page must
// have a test here.
func TestMigration(t *testing.T) {
	t.Parallel()
	all := changes(t)
	for title, run := range map[string]func(t *testing.T, c change){
		"From kubexit":                      testBoth,
		"From HBT koordinator":              testBoth,
		"From proa":                         testBoth,
		"From essential-containers":         testBoth,
		"From scuttle":                      testScuttle,
		"From native sidecars":              testBoth,
		"From wait-for-it and k8s-wait-for": testAdmitted,
		"From a proxy that the app stops":   testAdmitted,
		"Back to native sidecars":           testBoth,
		"From Compose":                      testCompose,
		"From Compose's restart: true":      testComposeRestart,
		"From sourced files":                testBoth,
		"From ECS task definitions":         testTaskDefinition,
	} {
		c, found := all[title]
		if !found {
			t.Errorf("docs/how-to/migrate.md has no section %q", title)
			continue
		}
		delete(all, title)
		t.Run(title, func(t *testing.T) { run(t, c) })
	}
	for title := range all {
		t.Errorf("nothing runs %q", title)
	}
}

// testAdmitted checks that the API server admits both manifests without a warning. The
// tests' registries do not have their images.
func testAdmitted(t *testing.T, c change) {
	abreast(t)
	ns := namespace(t, enabled)
	for name, manifest := range map[string]string{"before": c.before, "after": c.after} {
		out, err := try(t, manifest, "-n", ns, "apply", "--dry-run=server", "-f", "-")
		if err != nil || strings.Contains(out, "Warning") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// testBoth runs the Job of both versions.
func testBoth(t *testing.T, c change) {
	t.Parallel()
	for name, manifest := range map[string]string{"before": c.before, "after": c.after} {
		t.Run(name, func(t *testing.T) {
			abreast(t)
			testCompletes(t, manifest)
		})
	}
}

// testCompletes runs a Job in an enabled namespace in which the Job may read pods, because
// the predecessors need this. The Job must complete, every container must report 0, and
// main must have connected to the proxy.
func testCompletes(t *testing.T, manifest string) {
	var wanted batchv1.Job
	strictly(t, manifest, &wanted)
	ns := namespace(t, enabled)
	kubectl(t, "-n", ns, "create", "role", "reader", "--verb=get,list,watch", "--resource=pods")
	kubectl(t, "-n", ns, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount="+ns+":default")
	apply(t, ns, manifest)
	pod, condition := job(t, ns, wanted.Name)
	if condition != "Complete" {
		t.Errorf("the Job is %s, want Complete", condition)
	}
	for _, c := range wanted.Spec.Template.Spec.Containers {
		if e := terminated(t, pod, c.Name); e.ExitCode != 0 {
			t.Errorf("%s exited with %d (%s), want 0", c.Name, e.ExitCode, e.Message)
		}
	}
	if out := logs(t, ns, pod.Name, "main"); !out.has("rows") {
		t.Errorf("main never saw the proxy:\n%s", out)
	}
}

// strictly parses a manifest as kubectl does with --validate=strict.
func strictly(t *testing.T, manifest string, object any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(manifest), object); err != nil {
		t.Fatal(err)
	}
}

// istio replaces Istio's proxy. It has the readiness, the port and the way to quit of the
// real one, and lets an app's traffic pass as soon as it is ready.
const istio = `
name: istio-proxy
image: busybox:1.37
command: [sh, -c]
args:
  - |
    mkdir -p /tmp/www/healthz && echo rows >/tmp/www/rows && echo ok >/tmp/www/healthz/ready
    printf 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n' >/tmp/answer
    printf 'read line; echo "$line" >>/tmp/asked; cat /tmp/answer' >/tmp/serve
    sleep 2
    httpd -p 8080 -h /tmp/www
    httpd -p 15021 -h /tmp/www
    nc -ll -p 15020 -e sh /tmp/serve &
    until grep -q 'POST /quitquitquit' /tmp/asked; do sleep 0.1; done
    echo was asked to quit
readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
`

// testScuttle runs only the new version, with the proxy that Istio would add.
func testScuttle(t *testing.T, c change) {
	abreast(t)
	var before, after batchv1.Job
	strictly(t, c.before, &before)
	strictly(t, c.after, &after)
	quit := before.Spec.Template.Spec.Containers[0].Env[1]
	if quit.Name != "ISTIO_QUIT_API" || after.Spec.Template.Annotations["koordinator.io/stop-deps"] != "istio-proxy: main" {
		t.Errorf("scuttle asks %s=%s, the annotation does not", quit.Name, quit.Value)
	}
	var proxy corev1.Container
	strictly(t, istio, &proxy)
	after.Spec.Template.Spec.Containers = append(after.Spec.Template.Spec.Containers, proxy)
	manifest, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	testCompletes(t, string(manifest))
}

// testComposeRestart compares the restart dependencies and runs the new version.
func testComposeRestart(t *testing.T, c change) {
	abreast(t)
	var before struct {
		Services map[string]struct {
			Image, Command, Restart string
			Healthcheck             map[string]any `json:"healthcheck"`
			DependsOn               map[string]struct {
				Condition string
				Restart   bool
			} `json:"depends_on"`
		}
	}
	strictly(t, c.before, &before)
	var after appsv1.Deployment
	strictly(t, c.after, &after)
	for name, service := range before.Services {
		for on, dependency := range service.DependsOn {
			want := name + ": " + on
			if have := after.Spec.Template.Annotations["koordinator.io/restart-with"]; dependency.Restart && have != want {
				t.Errorf("restart-with is %q, want %q", have, want)
			}
		}
	}
	restartTogether(t, c.after, "deployment/"+after.Name, "app="+after.Name, "proxy", "main", "killall", "-9", "nc")
}

// testCompose compares the conditions and runs the new version.
func testCompose(t *testing.T, c change) {
	abreast(t)
	var before struct {
		Services map[string]struct {
			Image, Command  string
			StopGracePeriod string         `json:"stop_grace_period"`
			Healthcheck     map[string]any `json:"healthcheck"`
			DependsOn       map[string]struct {
				Condition string
				Required  *bool
			} `json:"depends_on"`
		}
	}
	strictly(t, c.before, &before)
	conditions := map[string]string{"service_started": "=started", "service_healthy": "", "service_completed_successfully": "=succeeded"}
	want, timeouts := map[string]map[string]bool{}, map[string]string{}
	for name, service := range before.Services {
		if service.StopGracePeriod != "" {
			timeouts[name] = service.StopGracePeriod
		}
		for on, dependency := range service.DependsOn {
			condition, known := conditions[dependency.Condition]
			if !known {
				t.Fatalf("%s depends on %s by %q", name, on, dependency.Condition)
			}
			if dependency.Condition == "service_healthy" && before.Services[on].Healthcheck == nil {
				t.Errorf("%s waits for the health of %s, which has no check", name, on)
			}
			if dependency.Required != nil && !*dependency.Required {
				condition += "?"
			}
			put(want, name, on+condition)
		}
	}
	var after batchv1.Job
	strictly(t, c.after, &after)
	sameOrder(t, after.Spec.Template.ObjectMeta, want, timeouts, "main")
	testCompletes(t, c.after)
}

// testTaskDefinition compares the conditions and runs the new version.
func testTaskDefinition(t *testing.T, c change) {
	abreast(t)
	var before struct {
		Family               string
		ContainerDefinitions []struct {
			Name, Image               string
			Essential                 bool
			Command                   []string
			HealthCheck               map[string]any
			StartTimeout, StopTimeout int
			DependsOn                 []struct{ ContainerName, Condition string }
		}
	}
	strictly(t, c.before, &before)
	conditions := map[string]string{"START": "=started", "HEALTHY": "", "COMPLETE": "=exited", "SUCCESS": "=succeeded"}
	want, timeouts, essential := map[string]map[string]bool{}, map[string]string{}, ""
	waits, late := map[string]string{}, map[string]string{} // timeouts by the awaited and by the waiting container
	for _, definition := range before.ContainerDefinitions {
		if definition.StartTimeout > 0 {
			waits[definition.Name] = fmt.Sprintf("%ds", definition.StartTimeout)
		}
	}
	for _, definition := range before.ContainerDefinitions {
		if definition.Essential {
			essential = definition.Name
		}
		if definition.StopTimeout > 0 {
			timeouts[definition.Name] = fmt.Sprintf("%ds", definition.StopTimeout)
		}
		for _, dependency := range definition.DependsOn {
			condition, known := conditions[dependency.Condition]
			if !known {
				t.Fatalf("%s depends on %s by %q", definition.Name, dependency.ContainerName, dependency.Condition)
			}
			put(want, definition.Name, dependency.ContainerName+condition)
			if timeout, limited := waits[dependency.ContainerName]; limited {
				late[definition.Name] = timeout
			}
		}
	}
	var after corev1.Pod
	strictly(t, c.after, &after)
	sameOrder(t, after.ObjectMeta, want, timeouts, essential)
	if diff := cmp.Diff(late, values(t, after.ObjectMeta, "start-timeout")); diff != "" {
		t.Errorf("start timeouts (-before +after): %s", diff)
	}

	after.Labels = map[string]string{"e2e": ""}
	manifest, err := json.Marshal(after)
	if err != nil {
		t.Fatal(err)
	}
	ns := namespace(t, enabled)
	apply(t, ns, string(manifest))
	pod := ends(t, ns, "proxy", "log", "warm-up", "migrate", "main")
	for name, want := range map[string]int32{"proxy": 0, "log": 0, "warm-up": 1, "migrate": 0, "main": 0} {
		if e := terminated(t, pod, name); e.ExitCode != want {
			t.Errorf("%s exited with %d (%s), want %d", name, e.ExitCode, e.Message, want)
		}
	}
	for _, name := range []string{"migrate", "main"} {
		if out := logs(t, ns, pod.Name, name); !out.has("rows") {
			t.Errorf("%s never saw the proxy:\n%s", name, out)
		}
	}
	inOrder(t,
		moment{"migrate ends", logs(t, ns, pod.Name, "migrate").when(t, "command exited")},
		moment{"main runs", logs(t, ns, pod.Name, "main").when(t, "command started")},
	)
}

// put adds a dependency to those of a container.
func put(all map[string]map[string]bool, container, dependency string) {
	if all[container] == nil {
		all[container] = map[string]bool{}
	}
	all[container][dependency] = true
}

// sameOrder compares the annotations of the new version with the order of the old one.
func sameOrder(t *testing.T, meta metav1.ObjectMeta, want map[string]map[string]bool, timeouts map[string]string, essential string) {
	t.Helper()
	got := map[string]map[string]bool{}
	for container, list := range values(t, meta, "start-deps") {
		for dependency := range strings.SplitSeq(list, ",") {
			put(got, container, strings.TrimSpace(dependency))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("start dependencies (-before +after): %s", diff)
	}
	if diff := cmp.Diff(timeouts, values(t, meta, "stop-timeout")); diff != "" {
		t.Errorf("stop timeouts (-before +after): %s", diff)
	}
	if e := meta.Annotations["koordinator.io/essential"]; e != essential {
		t.Errorf("essential is %q, want %q", e, essential)
	}
}

// values returns the values of an annotation, by container.
func values(t *testing.T, meta metav1.ObjectMeta, annotation string) map[string]string {
	t.Helper()
	all := map[string]string{}
	strictly(t, meta.Annotations["koordinator.io/"+annotation], &all)
	return maps.Clone(all)
}
