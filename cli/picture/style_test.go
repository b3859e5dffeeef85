package picture

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// linear returns a colour as linear light.
func linear(t *testing.T, hex string) [3]float64 {
	t.Helper()
	var r, g, b int
	if _, err := fmt.Sscanf(hex, "#%02x%02x%02x", &r, &g, &b); err != nil {
		t.Fatal(err)
	}
	var c [3]float64
	for i, v := range []int{r, g, b} {
		c[i] = math.Pow(float64(v)/255, 2.2)
	}
	return c
}

// visions are matrices for linear light of full colour blindness, by kind. Source:
// Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color
// Vision Deficiency", 2009, table of severity 1.0.
var visions = map[string][3][3]float64{
	"all colours":  {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
	"none":         {{0.2126, 0.7152, 0.0722}, {0.2126, 0.7152, 0.0722}, {0.2126, 0.7152, 0.0722}},
}

// distance returns the distance of two colours for a kind of vision, in an approximately
// perceptually uniform space (square root of light).
func distance(a, b [3]float64, m [3][3]float64) float64 {
	sum := 0.0
	for _, row := range m {
		va, vb := 0.0, 0.0
		for i := range row {
			va, vb = va+row[i]*a[i], vb+row[i]*b[i]
		}
		d := math.Sqrt(math.Max(0, va)) - math.Sqrt(math.Max(0, vb))
		sum += d * d
	}
	return math.Sqrt(sum)
}

// Stopping is hatched, so its colours need not differ from the others as much.
func TestStatesDifferForEveryVision(t *testing.T) {
	for name, colours := range map[string]Colours{"light": light(), "dark": dark()} {
		plain := []string{"waiting", "starting", "ready", "ground"}
		for vision, m := range visions {
			for i, a := range plain {
				for _, b := range plain[i+1:] {
					if d := distance(linear(t, colours[a]), linear(t, colours[b]), m); d < 0.12 {
						t.Errorf("%s, %s: %s and %s are only %.2f apart", name, vision, a, b, d)
					}
				}
			}
			if d := distance(linear(t, colours["stopping"]), linear(t, colours["stripe"]), m); d < 0.12 {
				t.Errorf("%s, %s: the stripes of stopping are only %.2f apart", name, vision, d)
			}
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	p := New("<title>", 100, 100)
	p.Label("", `<script>"&`, "<b>", 1, 1)
	page := Page{Title: "<x>"}
	page.Figure(p)
	page.Text("<pre>")
	page.Table([]string{"<th>"}, [][]string{{"<td>"}})
	if text := page.HTML(); strings.Contains(text, "<script>") || strings.Contains(text, "<b>") || strings.Contains(text, "<x>") || strings.Count(text, "<pre>") != 1 {
		t.Errorf("not escaped:\n%s", text)
	}
}
