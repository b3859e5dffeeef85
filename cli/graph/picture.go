package graph

import (
	"math"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/picture"
)

// Sizes of the picture, in pixels.
const (
	margin  = 20
	boxTop  = 48 // below the title
	boxGap  = 22 // gap between boxes of one step
	boxH    = 44
	gutter  = 90 // gap between steps, for the arrows
	lane    = 14 // distance of the arrows below the boxes
	header  = 26
	longest = 60 // maximum characters of a line in a box; the tooltip has the full text
)

// spot is the place of a container's box.
type spot struct{ x, y, width float64 }

// Picture draws the graph with a column for each step in which containers start. Arrows of
// stop dependencies go around below the boxes.
func (g Graph) Picture() *picture.Picture {
	spots, width, height := g.layout()
	stops := 0
	g.edges(func(_, _, _ string, stop bool) {
		if stop {
			stops++
		}
	})
	legend := "solid: starts after   dashed: stops with   dashed box: not wrapped"
	width = math.Max(width, math.Max(picture.Width(g.Title), picture.Width(legend))+2*margin)
	bottom := height + float64(stops)*lane + margin
	p := picture.New(g.Title, width, bottom+margin)
	p.Label("title", g.Title, "", margin, header)
	drawn := 0
	g.edges(func(from, to, label string, stop bool) {
		a, knownA := spots[from]
		b, knownB := spots[to]
		switch {
		case !knownA || !knownB:
		case stop:
			drawStop(p, a, b, height, drawn, from+" "+label+" "+to)
			drawn++
		default:
			p.Arrow("start", from+" "+label+" → "+to, a.x+a.width, a.y+boxH/2, b.x, b.y+boxH/2, true)
		}
	})
	for _, c := range g.Containers {
		g.box(p, c, spots[c.Name])
	}
	p.Label("faint", legend, "", margin, bottom)
	return p
}

// box draws a container and its start dependencies.
func (g Graph) box(p *picture.Picture, c order.Container, s spot) {
	class := "box"
	if !c.Wrapped {
		class += " unwrapped"
	}
	p.Rect(class, c.Name+" "+starting(c), s.x, s.y, s.width, boxH)
	p.Label("", c.Name, "", s.x+10, s.y+18)
	p.Label("faint", note(c), starting(c), s.x+10, s.y+35)
}

// note returns the second line in a container's box.
func note(c order.Container) string {
	text := starting(c)
	if text == "" {
		text = string(c.Role)
	}
	if r := []rune(text); len(r) > longest {
		text = string(r[:longest-1]) + "…"
	}
	return text
}

// drawStop draws a stop dependency as an arrow. It leaves the right side of one box, passes
// below all boxes, and enters the left side of the other box. n is the number of stop
// dependencies that are already drawn.
func drawStop(p *picture.Picture, a, b spot, height float64, n int, title string) {
	shift := float64(n%6) * 4
	out, in, below := a.x+a.width+8+shift, b.x-16-shift, height+float64(n)*lane
	p.Line("arrow stop", a.x+a.width, a.y+boxH-8, out, a.y+boxH-8)
	p.Line("arrow stop", out, a.y+boxH-8, out, below)
	p.Line("arrow stop", out, below, in, below)
	p.Line("arrow stop", in, below, in, b.y+boxH-8)
	p.Arrow("stop", title, in, b.y+boxH-8, b.x, b.y+boxH-8, true)
}

// layout places the boxes, and returns the size that they need.
func (g Graph) layout() (spots map[string]spot, width, height float64) {
	spots = map[string]spot{}
	x := margin + gutter/2.0
	height = boxTop
	for _, s := range g.starts() {
		widest := 0.0
		for _, c := range s {
			widest = math.Max(widest, math.Max(picture.Width(c.Name), picture.Width(note(c)))+20)
		}
		y := float64(boxTop)
		for _, c := range s {
			spots[c.Name] = spot{x, y, widest}
			y += boxH + boxGap
		}
		height = math.Max(height, y)
		x += widest + gutter
	}
	return spots, x - gutter/2 + margin, height
}

// Page returns a page with the picture and the text.
func Page(graphs []Graph) *picture.Page {
	page := &picture.Page{Title: "Order of containers"}
	for _, g := range graphs {
		page.Heading(g.Title)
		page.Figure(g.Picture())
		page.Text(g.Text())
	}
	return page
}
