// Package picture draws static SVG: shapes and labels in a style that suits light and dark
// backgrounds, and an HTML page around them. Both are free of scripts.
package picture

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of text, in pixels. Labels are monospaced, so that their widths are known without
// the font: a character of the common fonts is 0.60 em wide.
const (
	FontSize   = 12
	advance    = 0.62 * FontSize
	LineHeight = 16
)

// Width returns the maximum width of a label in pixels.
func Width(text string) float64 {
	n := 0
	for _, r := range text {
		n++
		if r >= 0x1100 { // the character may be twice as wide
			n++
		}
	}
	return float64(n) * advance
}

// Picture is an SVG that is being drawn.
type Picture struct {
	body          strings.Builder
	width, height float64
	title         string
}

// New returns an empty picture with a size in pixels.
func New(title string, width, height float64) *Picture {
	return &Picture{title: title, width: width, height: height}
}

// Rect draws a rectangle of a class of Style, with a tooltip if title is not empty.
func (p *Picture) Rect(class, title string, x, y, width, height float64) {
	fmt.Fprintf(&p.body, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2">%s</rect>`+"\n",
		html.EscapeString(class), x, y, width, height, tooltip(title))
}

// Line draws a straight line.
func (p *Picture) Line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(&p.body, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", html.EscapeString(class), x1, y1, x2, y2)
}

// Label writes text whose baseline begins at x, y.
func (p *Picture) Label(class, text, title string, x, y float64) {
	fmt.Fprintf(&p.body, `<text class="%s" x="%.1f" y="%.1f">%s%s</text>`+"\n", html.EscapeString("label "+class), x, y, html.EscapeString(text), tooltip(title))
}

// Arrow draws a curve with an arrowhead from one point to another. It leaves and arrives
// vertically, or horizontally if level is set.
func (p *Picture) Arrow(class, title string, x1, y1, x2, y2 float64, level bool) {
	cx1, cy1, cx2, cy2 := x1, (y1+y2)/2, x2, (y1+y2)/2
	if level {
		cx1, cy1, cx2, cy2 = (x1+x2)/2, y1, (x1+x2)/2, y2
	}
	fmt.Fprintf(&p.body, `<path class="%s" d="M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f">%s</path>`+"\n",
		html.EscapeString("arrow "+class), x1, y1, cx1, cy1, cx2, cy2, x2, y2, tooltip(title))
	head := [3][2]float64{{x2, y2}, {x2 - 3.5, y2 - 7}, {x2 + 3.5, y2 - 7}}
	switch {
	case level:
		head = [3][2]float64{{x2, y2}, {x2 - 7, y2 - 3.5}, {x2 - 7, y2 + 3.5}}
	case y2 < y1:
		head = [3][2]float64{{x2, y2}, {x2 - 3.5, y2 + 7}, {x2 + 3.5, y2 + 7}}
	}
	fmt.Fprintf(&p.body, `<path class="%s" d="M%.1f %.1f L%.1f %.1f L%.1f %.1fZ"/>`+"\n", html.EscapeString("head "+class),
		head[0][0], head[0][1], head[1][0], head[1][1], head[2][0], head[2][1])
}

func tooltip(title string) string {
	if title == "" {
		return ""
	}
	return "<title>" + html.EscapeString(title) + "</title>"
}

// SVG returns the whole picture.
func (p *Picture) SVG() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" xml:space="preserve">
<title>%s</title>
<style>%s</style>
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="stopping-ground" width="6" height="6"/><rect class="stopping-stripe" width="3" height="6"/></pattern></defs>
<rect class="ground" x="0" y="0" width="%.0f" height="%.0f"/>
%s</svg>
`, p.width, p.height, p.width, p.height, html.EscapeString(p.title), Style(), p.width, p.height, p.body.String())
}
