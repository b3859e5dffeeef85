package pictures

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/graph"
	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/simulate"
	"koordinator.io/koordinator/cli/timeline"
)

// pod returns the order of a Job's pod with n containers: a proxy that stops with main, and
// helpers that each wait for another container. Some fail, some are restarted, and names
// are long.
func pod(t *testing.T, n int) order.Order {
	t.Helper()
	p := &corev1.Pod{}
	p.Name, p.Spec.RestartPolicy = "report", corev1.RestartPolicyOnFailure
	start, stop := []string{"main: proxy"}, []string{"proxy: main"}
	for i := range n {
		c := corev1.Container{Name: []string{"main", "proxy"}[min(i, 1)], Image: "x", Command: []string{"x"}}
		if i >= 2 {
			c.Name = fmt.Sprintf("helper-%d%s", i, strings.Repeat("-with-a-long-name", i%4))
			start = append(start, fmt.Sprintf("%s: %s", c.Name, p.Spec.Containers[i/2].Name))
		}
		if i%5 == 4 {
			stop = append(stop, c.Name+": main")
		}
		c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	p.Annotations = map[string]string{
		"koordinator.io/start-deps": strings.Join(start, "\n"), "koordinator.io/stop-deps": strings.Join(stop, "\n"),
	}
	o, err := order.Of(p, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// simulated returns the timeline of such a pod in which a container fails for some time.
func simulated(t *testing.T, n int) timeline.Timeline {
	o := pod(t, n)
	s := simulate.Script{Delete: simulate.Never, Runs: map[string]simulate.End{}, Ends: map[string]simulate.End{"main": {At: 4 * time.Second, Code: 1}}}
	for i, c := range o.Containers[2:] {
		s.Runs[c.Name] = simulate.End{At: time.Duration(i+1) * 400 * time.Millisecond}
	}
	return timeline.Of(simulate.Pod("job/"+strings.Repeat("report", 3), o, s).History)
}

func TestEverythingIsInsideThePictureAndNoLabelsOverlap(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	browser, err := Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 6, 30} {
		line, o := simulated(t, n), pod(t, n)
		pictures := map[string]string{
			"timeline": line.Picture().SVG(),
			"graph":    graph.Graph{Title: "job/report", Containers: o.Containers, Grace: 30}.Picture().SVG(),
		}
		for name, svg := range pictures {
			for _, dark := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s of %d containers, dark %v", name, n, dark), func(t *testing.T) {
					m, err := browser.Measure(ctx, svg, dark, shot(t, name, n, dark))
					if err != nil {
						t.Fatal(err)
					}
					judge(t, m, dark)
					lanes := count(m, "lane") + count(m, "box")
					if arrows := count(m, "arrow"); lanes != n || arrows < len(line.Arrows) && name == "timeline" || arrows == 0 {
						t.Errorf("%d lanes or boxes and %d arrows are drawn", lanes, arrows)
					}
				})
			}
		}
	}
}

// shot returns the path of a screenshot: in a directory of the test, or in the directory
// SCREENSHOTS.
func shot(t *testing.T, name string, n int, dark bool) string {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	return filepath.Join(dir, fmt.Sprintf("%s-%d-dark-%v.png", name, n, dark))
}

// count returns the number of elements with a class.
func count(m Measured, class string) int {
	n := 0
	for _, p := range m.Parts {
		if strings.Fields(p.Class + " -")[0] == class {
			n++
		}
	}
	return n
}

// judge checks a picture against the rules for pictures.
func judge(t *testing.T, m Measured, dark bool) {
	t.Helper()
	if len(m.Parts) < 4 {
		t.Fatalf("only %d parts are drawn", len(m.Parts))
	}
	labels := 0
	for i, p := range m.Parts {
		if !p.Within(m.Picture) {
			t.Errorf("%q %q is not inside the picture: %+v", p.Class, p.Text, p)
		}
		if !strings.HasPrefix(p.Class, "label") {
			continue
		}
		labels++
		for _, o := range m.Parts[i+1:] {
			if strings.HasPrefix(o.Class, "label") && p.Overlaps(o) {
				t.Errorf("the labels %q and %q overlap: %+v, %+v", p.Text, o.Text, p, o)
			}
		}
		for _, o := range m.Parts {
			if strings.HasPrefix(o.Class, "segment") && p.Overlaps(o) {
				t.Errorf("the label %q lies over a %s of a lane", p.Text, o.Class)
			}
		}
	}
	if labels == 0 {
		t.Error("there is no label")
	}
	ground, ink := brightness(t, m.Ground), brightness(t, m.Ink)
	if dark && (ground > 60 || ink < 200) || !dark && (ground < 200 || ink > 60) {
		t.Errorf("dark %v: labels of %s on %s", dark, m.Ink, m.Ground)
	}
}

// brightness returns the brightness of a colour in the browser's notation, from 0 to 255.
func brightness(t *testing.T, colour string) int {
	t.Helper()
	var r, g, b int
	if _, err := fmt.Sscanf(colour, "rgb(%d, %d, %d)", &r, &g, &b); err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	return (r + g + b) / 3
}

func TestAMistakeInAPictureIsFound(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	defer cancel()
	browser, err := Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	svg := simulated(t, 2).Picture().SVG()
	bad := strings.Replace(svg, "</svg>", `<text class="label" x="9999" y="30">outside</text><text class="label" x="20" y="24">over the title</text></svg>`, 1)
	m, err := browser.Measure(ctx, bad, false, "")
	if err != nil {
		t.Fatal(err)
	}
	var found bytes.Buffer
	for i, p := range m.Parts {
		if !p.Within(m.Picture) {
			fmt.Fprintln(&found, p.Text)
		}
		for _, o := range m.Parts[i+1:] {
			if p.Text != "" && o.Text == "over the title" && p.Overlaps(o) {
				fmt.Fprintln(&found, o.Text)
			}
		}
	}
	if found.String() != "over the title\noutside\n" && found.String() != "outside\nover the title\n" {
		t.Errorf("found %q", found.String())
	}
}
