package graph

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/spec"
)

// of returns the graph of a pod that is given as YAML.
func of(t *testing.T, manifest string) Graph {
	t.Helper()
	var pod corev1.Pod
	if err := yaml.UnmarshalStrict([]byte(manifest), &pod); err != nil {
		t.Fatal(err)
	}
	o, err := order.Of(&pod, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return Graph{Title: "pod/" + pod.Name, Containers: o.Containers, Grace: o.GracePeriod}
}

// probe delays a container's readiness until after its start.
const probe = "readinessProbe: {tcpSocket: {port: 80}}"

// shop is a pod with every kind of container and dependency.
const shop = `
metadata:
  name: shop
  annotations:
    koordinator.io/start-deps: |
      main: proxy, migrate=succeeded, cache=started?, tcp://db:5432, file:///run/token?
      migrate: proxy
      report: main=exited
    koordinator.io/stop-deps: |
      proxy: main, report
      cache: main=failed
    koordinator.io/stop-when: "proxy: all"
    koordinator.io/start-timeout: "{main: 2m, report: 5s}"
    koordinator.io/on-start-timeout: "report: start"
    koordinator.io/env-file: "main: /run/env"
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 60
  initContainers:
    - {name: setup, image: x, command: [x]}
    - {name: mesh, image: x, command: [x], restartPolicy: Always}
  containers:
    - {name: main, image: x, command: [x]}
    - {name: proxy, image: x, command: [x], ` + probe + `}
    - {name: migrate, image: x, command: [x]}
    - {name: cache, image: x, command: [x]}
    - {name: report, image: x, command: [x]}
    - {name: other, image: x, command: [x]}
`

// restarting is a pod in which a container restarts with another.
const restarting = `
metadata: {name: web, annotations: {koordinator.io/start-deps: "web: proxy", koordinator.io/restart-with: "web: proxy"}}
spec:
  containers:
    - {name: web, image: x, command: [x]}
    - {name: proxy, image: x, command: [x], ` + probe + `}
`

func TestText(t *testing.T) {
	for manifest, want := range map[string]string{
		shop: `pod/shop

Start
  1   setup     init container
  2   mesh      native sidecar
  3   proxy
      cache
      other
  4   migrate   when proxy is ready
  5   main      when proxy is ready and migrate has succeeded and cache has started (optional) and tcp://db:5432 answers and file:///run/token answers (optional) and /run/env has been read; after 2m0s it fails
  6   report    when main has exited; after 5s it starts regardless

Stop of single containers
  1   proxy   when main has exited and report has exited
      cache   when main has failed

Stop of the pod (grace period 60s)
  1   main
      migrate
      report
      other
  2   proxy     after main, migrate, report
      cache     after main
  3   mesh      native sidecar
`,
		restarting: `pod/web

Start
  1   proxy
  2   web     when proxy is ready

Stop of single containers
  1   web   restarts when proxy ends

Stop of the pod (grace period 30s)
  1   web
  2   proxy   after web
`,
		"metadata: {name: plain}\nspec: {containers: [{name: a, image: x}, {name: b, image: x}]}": `pod/plain

Start
  1   a
      b

Stop of the pod (grace period 30s)
  1   a
      b
`,
	} {
		g := of(t, manifest)
		if diff := cmp.Diff(want, g.Text()); diff != "" {
			t.Errorf("%s (-want +have):\n%s", g.Title, diff)
		}
	}
}

func TestSteps(t *testing.T) {
	for name, test := range map[string]struct {
		annotations, start, stop string
	}{
		"no order":                    {`{koordinator.io/log-level: info}`, "a b c d", "a b c d"},
		"a chain":                     {`{koordinator.io/start-deps: "{a: b, b: c, c: d}"}`, "d|c|b|a", "a|b|c|d"},
		"a diamond":                   {`{koordinator.io/start-deps: "{a: [b, c], b: d, c: d}"}`, "d|b c|a", "a|b c|d"},
		"two chains":                  {`{koordinator.io/start-deps: "{a: b, c: d}"}`, "b d|a c", "a c|b d"},
		"after an exit":               {`{koordinator.io/start-deps: "a: b=exited"}`, "b c d|a", "a b c d"},
		"a stop before what it needs": {`{koordinator.io/start-deps: "a: b=started", koordinator.io/stop-deps: "a: b"}`, "b c d|a", "b c d|a"},
		"an essential container":      {`{koordinator.io/essential: a}`, "a b c d", "a|b c d"},
		"all others":                  {`{koordinator.io/start-deps: '"*": d'}`, "d|a b c", "a b c|d"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := "metadata: {name: x, annotations: " + test.annotations + "}\nspec:\n  restartPolicy: Never\n  containers:\n"
			for _, c := range []string{"a", "b", "c", "d"} {
				pod += "    - {name: " + c + ", image: x, command: [x], " + probe + "}\n"
			}
			g := of(t, pod)
			have := [2]string{written(g.starts()), written(g.stops())}
			if diff := cmp.Diff([2]string{test.start, test.stop}, have); diff != "" {
				t.Errorf("start and stop (-want +have):\n%s", diff)
			}
		})
	}
}

// written returns steps as text.
func written(steps []step) string {
	var all []string
	for _, names := range lists(steps) {
		all = append(all, strings.Join(names, " "))
	}
	return strings.Join(all, "|")
}

// A graph must also be drawn for an existing pod with a cycle or a missing container.
func TestCyclesAndContainersThatAreNotThere(t *testing.T) {
	container := func(name string, on ...string) order.Container {
		c := order.Container{Name: name, Role: order.Regular, Wrapped: true, Spec: spec.Default()}
		for _, o := range on {
			c.Spec.StartDeps = append(c.Spec.StartDeps, spec.Dependency{Container: o, Condition: spec.Ready})
		}
		c.Spec.HoldFor = on
		return c
	}
	g := Graph{Title: "x", Containers: []order.Container{container("a", "b"), container("b", "a"), container("c", "injected-later")}}
	placed := 0
	for _, s := range g.starts() {
		placed += len(s)
	}
	if text := g.Text(); placed != 3 || strings.Count(text, "when") != 3 || !strings.Contains(text, "c       when injected-later is ready") && !strings.Contains(text, "c   when injected-later is ready") {
		t.Errorf("%d containers are placed:\n%s", placed, text)
	}
	if svg := g.Picture().SVG(); strings.Count(svg, `class="box`) != 3 || strings.Contains(svg, "injected-later is ready → ") {
		t.Errorf("the picture:\n%s", svg)
	}
}

func TestConditionsInWords(t *testing.T) {
	for condition, want := range map[spec.Condition]string{
		spec.Ready: "p is ready", spec.Started: "p has started", spec.Exited: "p has exited", spec.Succeeded: "p has succeeded", spec.Failed: "p has failed",
	} {
		if have := wait(spec.Dependency{Container: "p", Condition: condition}); have != want {
			t.Errorf("%s: %q, want %q", condition, have, want)
		}
	}
}

const wantDot = `digraph "pod/shop" {
	rankdir=LR
	node [shape=box]
	"setup" [style=dashed]
	"mesh" [style=dashed]
	"main"
	"proxy"
	"migrate"
	"cache"
	"report"
	"other" [style=dashed]
	"proxy" -> "main" [label="ready"]
	"migrate" -> "main" [label="succeeded"]
	"cache" -> "main" [label="started?"]
	"main" -> "proxy" [label="stops: exited", style=dashed, constraint=false]
	"report" -> "proxy" [label="stops: exited", style=dashed, constraint=false]
	"proxy" -> "migrate" [label="ready"]
	"main" -> "cache" [label="stops: failed", style=dashed, constraint=false]
	"main" -> "report" [label="exited"]
}
`

const wantMermaid = `---
title: "pod/shop"
---
flowchart LR
  c0["setup"]
  c1["mesh"]
  c2["main"]
  c3["proxy"]
  c4["migrate"]
  c5["cache"]
  c6["report"]
  c7["other"]
  c3 -->|"ready"| c2
  c4 -->|"succeeded"| c2
  c5 -->|"started?"| c2
  c2 -.->|"stops: exited"| c3
  c6 -.->|"stops: exited"| c3
  c3 -->|"ready"| c4
  c2 -.->|"stops: failed"| c5
  c2 -->|"exited"| c6
`

func TestOtherLanguages(t *testing.T) {
	g := of(t, shop)
	if diff := cmp.Diff(wantDot, g.Dot()); diff != "" {
		t.Errorf("Graphviz (-want +have):\n%s", diff)
	}
	if diff := cmp.Diff(wantMermaid, g.Mermaid()); diff != "" {
		t.Errorf("Mermaid (-want +have):\n%s", diff)
	}
}

// A container that only a dependency names has a node in Mermaid, too.
func TestMermaidHasANodeForEveryEnd(t *testing.T) {
	late := of(t, `
metadata: {name: x, annotations: {koordinator.io/start-deps: "main: istio-proxy"}}
spec: {containers: [{name: main, image: x, command: [x]}]}
`)
	if have := late.Mermaid(); !strings.Contains(have, `c1["istio-proxy"] -->|"ready"| c0`) {
		t.Error(have)
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(of(t, shop).View())
	if err != nil {
		t.Fatal(err)
	}
	var have struct {
		Title       string
		Start, Stop [][]string
		Containers  []struct {
			Name, Role string
			Wrapped    bool
			StartDeps  []any
			StopDeps   []any
			HoldFor    []string
		}
	}
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	if want := [][]string{{"setup"}, {"mesh"}, {"proxy", "cache", "other"}, {"migrate"}, {"main"}, {"report"}}; have.Title != "pod/shop" || !cmp.Equal(want, have.Start) {
		t.Errorf("%s starts %v, want %v", have.Title, have.Start, want)
	}
	if want := [][]string{{"main", "migrate", "report", "other"}, {"proxy", "cache"}, {"mesh"}}; !cmp.Equal(want, have.Stop) {
		t.Errorf("stop %v, want %v", have.Stop, want)
	}
	if len(have.Containers) != 8 {
		t.Fatalf("%d containers, want 8", len(have.Containers))
	}
	main, proxy, other := have.Containers[2], have.Containers[3], have.Containers[7]
	if main.Role != "container" || !main.Wrapped || len(main.StartDeps) != 3 || len(proxy.StopDeps) != 2 || !slices.Contains(proxy.HoldFor, "main") || other.Wrapped {
		t.Errorf("main %+v, proxy %+v, other %+v", main, proxy, other)
	}
	empty, err := json.Marshal(Graph{Title: "none"}.View())
	if err != nil || !strings.Contains(string(empty), `"start":[],"stop":[]`) {
		t.Errorf("without containers: %s, %v", empty, err)
	}
}

func TestThePictureHasABoxForEachContainerAndAnArrowForEachDependency(t *testing.T) {
	g := of(t, shop)
	svg := g.Picture().SVG()
	if boxes, unwrapped := strings.Count(svg, `class="box`), strings.Count(svg, `class="box unwrapped"`); boxes != 8 || unwrapped != 3 {
		t.Errorf("%d boxes, %d of them dashed, want 8 and 3", boxes, unwrapped)
	}
	for _, title := range []string{"proxy ready → main", "migrate succeeded → main", "cache started? → main", "proxy ready → migrate", "main exited → report", "main stops: exited proxy", "report stops: exited proxy", "main stops: failed cache"} {
		if !strings.Contains(svg, title) {
			t.Errorf("no arrow %q", title)
		}
	}
	if strings.Contains(svg, "<script") {
		t.Error("the picture has a script")
	}
}

func TestBoxesDoNotOverlap(t *testing.T) {
	g := of(t, shop)
	spots, width, height := g.layout()
	if len(spots) != len(g.Containers) {
		t.Fatalf("%d boxes, want %d", len(spots), len(g.Containers))
	}
	for a, s := range spots {
		if s.x < 0 || s.x+s.width > width || s.y < header || s.y+boxH > height {
			t.Errorf("%s is outside of the picture: %+v of %v×%v", a, s, width, height)
		}
		for b, o := range spots {
			if a < b && s.x < o.x+o.width && o.x < s.x+s.width && s.y < o.y+boxH && o.y < s.y+boxH {
				t.Errorf("%s and %s overlap: %+v, %+v", a, b, s, o)
			}
		}
	}
}

func TestALaterStepIsFartherRight(t *testing.T) {
	g := of(t, shop)
	spots, _, _ := g.layout()
	before := -1.0
	for _, s := range g.starts() {
		for _, c := range s {
			if spots[c.Name].x <= before {
				t.Errorf("%s is not to the right of the step before", c.Name)
			}
		}
		before = spots[s[0].Name].x
	}
}

func TestLongNotesAreCut(t *testing.T) {
	g := of(t, shop)
	main, _ := g.find("main")
	short := note(main)
	if r := []rune(short); len(r) != longest || r[len(r)-1] != '…' {
		t.Errorf("note of %d characters: %q", len(r), short)
	}
	if !strings.Contains(g.Picture().SVG(), "after 2m0s it fails") {
		t.Error("the whole note is in no tooltip")
	}
	other, _ := g.find("other")
	if note(other) != "container" {
		t.Errorf("note of a container that waits for nothing: %q", note(other))
	}
}

func TestTextsAreEscaped(t *testing.T) {
	g := Graph{Title: `<b> & "x"`, Containers: []order.Container{{Name: "a", Role: order.Regular, Spec: spec.Default()}}}
	if svg := g.Picture().SVG(); strings.Contains(svg, "<b>") || !strings.Contains(svg, "&lt;b&gt; &amp;") {
		t.Errorf("picture:\n%s", svg)
	}
	if page := Page([]Graph{g}).HTML(); strings.Contains(page, "<b>") {
		t.Errorf("page:\n%s", page)
	}
	if dot := g.Dot(); !strings.HasPrefix(dot, `digraph "<b> & \"x\"" {`) {
		t.Error(dot)
	}
}

func TestAPageHasAllGraphs(t *testing.T) {
	page := Page([]Graph{of(t, shop), of(t, restarting)}).HTML()
	if strings.Count(page, "<svg ") != 2 || !strings.Contains(page, "pod/shop") || !strings.Contains(page, "pod/web") || !strings.Contains(page, "restarts when proxy ends") {
		t.Errorf("page:\n%s", page)
	}
}
