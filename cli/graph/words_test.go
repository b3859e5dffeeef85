package graph

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestWhatAContainerWaitsFor(t *testing.T) {
	on := func(name string, condition spec.Condition) spec.Dependency {
		return spec.Dependency{Container: name, Condition: condition}
	}
	for want, change := range map[string]func(*spec.Spec){
		"":                                 func(*spec.Spec) {},
		"when a is ready":                  func(s *spec.Spec) { s.StartDeps = []spec.Dependency{on("a", spec.Ready)} },
		"when a is ready and b has exited": func(s *spec.Spec) { s.StartDeps = []spec.Dependency{on("a", spec.Ready), on("b", spec.Exited)} },
		"when a has started (optional)": func(s *spec.Spec) {
			s.StartDeps = []spec.Dependency{{Container: "a", Condition: spec.Started, Optional: true}}
		},
		"when tcp://db:1 answers":          func(s *spec.Spec) { s.StartEndpoints = []spec.Endpoint{{URL: "tcp://db:1"}} },
		"when dns://db answers (optional)": func(s *spec.Spec) { s.StartEndpoints = []spec.Endpoint{{URL: "dns://db", Optional: true}} },
		"when /run/env has been read":      func(s *spec.Spec) { s.EnvFiles = []spec.EnvFile{{Path: "/run/env"}} },
		"when a is ready; after 5s it fails": func(s *spec.Spec) {
			s.StartDeps, s.StartTimeout = []spec.Dependency{on("a", spec.Ready)}, 5*time.Second
		},
		"when a is ready; after 1m0s it starts regardless": func(s *spec.Spec) {
			s.StartDeps, s.StartTimeout, s.OnStartTimeout = []spec.Dependency{on("a", spec.Ready)}, time.Minute, spec.TimeoutStart
		},
	} {
		c := order.Container{Name: "c", Spec: spec.Default()}
		change(&c.Spec)
		if have := starting(c); have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}

func TestWhatStopsAContainer(t *testing.T) {
	two := []spec.Dependency{{Container: "a", Condition: spec.Exited}, {Container: "b", Condition: spec.Succeeded}}
	for want, change := range map[string]func(*spec.Spec){
		"":                                        func(*spec.Spec) {},
		"when a has exited":                       func(s *spec.Spec) { s.StopDeps = two[:1] },
		"when a has exited or b has succeeded":    func(s *spec.Spec) { s.StopDeps = two },
		"when a has exited and b has succeeded":   func(s *spec.Spec) { s.StopDeps, s.StopWhen = two, spec.StopAll },
		"restarts when a or b ends":               func(s *spec.Spec) { s.RestartWith = []string{"a", "b"} },
		"when a has exited; restarts when b ends": func(s *spec.Spec) { s.StopDeps, s.RestartWith = two[:1], []string{"b"} },
	} {
		c := order.Container{Name: "c", Spec: spec.Default()}
		change(&c.Spec)
		if have := stopping(c); have != want {
			t.Errorf("%q, want %q", have, want)
		}
	}
}

// The kubelet starts init containers one after another, and stops native sidecars in the
// reverse order after all regular containers.
func TestInitContainersAndSidecars(t *testing.T) {
	g := of(t, `
metadata: {name: x, annotations: {koordinator.io/start-deps: "main: proxy=started"}}
spec:
  restartPolicy: Never
  initContainers:
    - {name: first, image: x, command: [x], restartPolicy: Always}
    - {name: setup, image: x, command: [x]}
    - {name: second, image: x, command: [x], restartPolicy: Always}
  containers:
    - {name: main, image: x, command: [x]}
    - {name: proxy, image: x, command: [x]}
`)
	if have := written(g.starts()); have != "first|setup|second|proxy|main" {
		t.Errorf("start %s", have)
	}
	if have := written(g.stops()); have != "main|proxy|second|first" {
		t.Errorf("stop %s", have)
	}
}

// number matches a coordinate in a picture.
var number = regexp.MustCompile(`\b(x1|x2|y1|y2)="([-0-9.]+)"`)

func TestEveryLineIsInsideThePicture(t *testing.T) {
	svg := of(t, shop).Picture().SVG()
	size := regexp.MustCompile(`viewBox="0 0 ([0-9.]+) ([0-9.]+)"`).FindStringSubmatch(svg)
	if size == nil {
		t.Fatalf("the picture has no size:\n%.300s", svg)
	}
	found := 0
	for _, n := range number.FindAllStringSubmatch(svg, -1) {
		most := size[1]
		if strings.HasPrefix(n[1], "y") {
			most = size[2]
		}
		at, bound := parsed(t, n[2]), parsed(t, most)
		found++
		if at < 0 || at > bound {
			t.Errorf("%s is outside of 0 to %v", n[0], bound)
		}
	}
	if found < 4*3*4 { // three stop dependencies of four lines each
		t.Errorf("%d coordinates of lines are found", found)
	}
}

func parsed(t *testing.T, text string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A picture of thirty containers is as high as its highest step.
func TestManyContainers(t *testing.T) {
	g := Graph{Title: "many"}
	for i := range 30 {
		c := order.Container{Name: fmt.Sprintf("c%d", i), Role: order.Regular, Wrapped: true, Spec: spec.Default()}
		if i >= 10 {
			c.Spec.StartDeps = []spec.Dependency{{Container: fmt.Sprintf("c%d", i-10), Condition: spec.Ready}}
		}
		g.Containers = append(g.Containers, c)
	}
	spots, _, height := g.layout()
	if len(spots) != 30 || len(g.starts()) != 3 || height != boxTop+10*(boxH+boxGap) {
		t.Errorf("%d boxes in %d steps, %v high", len(spots), len(g.starts()), height)
	}
}
