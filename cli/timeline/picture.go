package timeline

import (
	"fmt"
	"math"
	"slices"
	"time"

	"koordinator.io/koordinator/cli/picture"
)

// Sizes of the picture, in pixels.
const (
	margin     = 20
	top        = 70 // top of the first lane: title and axis are above
	laneHeight = 34
	barHeight  = 16
	chart      = 620 // width of the lanes
	gap        = 14  // gap between the columns
	longest    = 60  // maximum characters of a result; the tooltip has the full text
)

// drawing is the state of drawing a timeline.
type drawing struct {
	Timeline
	*picture.Picture

	left  float64 // start of the lanes
	right float64 // start of the results
	total time.Duration
}

// Picture draws the timeline with a lane for each container, arrows from causes to effects,
// and the critical chain outlined.
func (t Timeline) Picture() *picture.Picture {
	d := drawing{Timeline: t, left: margin, total: max(t.End.Sub(t.Begin), time.Millisecond)}
	names, results := picture.Width("container"), picture.Width("result")
	for _, l := range t.Lanes {
		names = math.Max(names, picture.Width(l.Container.Name))
		results = math.Max(results, picture.Width(short(l.summary())))
	}
	title := t.heading()
	d.left += names + gap
	d.right = d.left + chart + gap
	width := math.Max(d.right+results, margin+math.Max(picture.Width(title), picture.Width(short(t.Cause)))) + margin
	bottom := top + float64(len(t.Lanes))*laneHeight
	d.Picture = picture.New(title, width, bottom+margin+2*picture.LineHeight)
	d.Label("title", title, "", margin, 24)
	if t.Cause != "" {
		d.Label("", short("Cause: "+t.Cause), t.Cause, margin, 24+picture.LineHeight)
	}
	d.axis(bottom)
	for i, l := range t.Lanes {
		d.lane(i, l)
	}
	for _, a := range t.Arrows {
		d.arrow(a)
	}
	d.legend(bottom + margin + picture.LineHeight)
	return d.Picture
}

// heading returns the pod's name and state.
func (t Timeline) heading() string {
	return fmt.Sprintf("%s  %s  %s", t.Pod, t.Phase, t.offset(t.End))
}

// short shortens a text to fit into its column.
func short(text string) string {
	r := []rune(text)
	if len(r) <= longest {
		return text
	}
	return string(r[:longest-1]) + "…"
}

// x returns the horizontal position of a time.
func (d *drawing) x(at time.Time) float64 {
	return d.left + chart*math.Min(1, math.Max(0, float64(at.Sub(d.Begin))/float64(d.total)))
}

// y returns the top of a lane's bar.
func (d *drawing) y(lane int) float64 { return top + float64(lane)*laneHeight }

// axis draws the time axis, with as many labels as fit.
func (d *drawing) axis(bottom float64) {
	unit := round(d.total / 6)
	for i := range 1 + int(d.total/unit) {
		at := time.Duration(i) * unit
		x := d.left + chart*float64(at)/float64(d.total)
		d.Line("rule", x, top-8, x, bottom-laneHeight+barHeight+8)
		label := at.String()
		if x+picture.Width(label) < d.right-gap {
			d.Label("faint", label, "", x+2, top-12)
		}
	}
}

// units returns the step sizes for an axis, in customary time units.
func units() []time.Duration {
	var all []time.Duration
	for _, base := range []time.Duration{time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		all = append(all, base, 2*base, 5*base)
	}
	for _, base := range []time.Duration{time.Second, time.Minute} {
		all = append(all, 10*base, 15*base, 30*base, 60*base, 120*base, 300*base)
	}
	return append(all, 6*time.Hour, 12*time.Hour, 24*time.Hour)
}

// round returns the first step that is not shorter than d.
func round(d time.Duration) time.Duration {
	for _, u := range units() {
		if u >= d {
			return u
		}
	}
	return d.Truncate(24*time.Hour) + 24*time.Hour
}

// lane draws one container.
func (d *drawing) lane(i int, l Lane) {
	y := d.y(i)
	d.Rect("lane", "", d.left, y, chart, barHeight)
	d.Label("", l.Container.Name, l.Container.Role, margin, y+barHeight-4)
	d.Label("", short(l.summary()), l.summary(), d.right, y+barHeight-4)
	for _, s := range l.Segments {
		d.Rect("segment "+string(s.State), d.tooltip(l, s), d.x(s.From), y, math.Max(1, d.x(s.To)-d.x(s.From)), barHeight)
	}
	for _, s := range l.Segments { // drawn after all bars; otherwise a neighbour would hide half of the outline
		if s.Critical {
			d.Rect("outline", "critical chain", d.x(s.From), y, math.Max(1, d.x(s.To)-d.x(s.From)), barHeight)
		}
	}
}

// tooltip describes a segment.
func (d *drawing) tooltip(l Lane, s Segment) string {
	text := fmt.Sprintf("%s %s @%s +%s", l.Container.Name, s.State, d.offset(s.From), Seconds(s.To.Sub(s.From)))
	if s.Note != "" {
		text += "\n" + s.Note
	}
	return text
}

// arrow draws an arrow from a cause to its effect.
func (d *drawing) arrow(a Arrow) {
	from, to := d.index(a.From.Container), d.index(a.To.Container)
	if from < 0 || to < 0 {
		return
	}
	class := "start"
	if a.Stop {
		class = "stop"
	}
	if a.From.Critical && a.To.Critical {
		class += " critical"
	}
	y1, y2 := d.y(from)+barHeight, d.y(to)
	if to < from {
		y1, y2 = d.y(from), d.y(to)+barHeight
	}
	title := fmt.Sprintf("%s → %s @%s", a.From.name(), a.To.name(), d.offset(a.To.At))
	d.Arrow(class, title, d.x(a.From.At), y1, d.x(a.To.At), y2, false)
}

func (d *drawing) index(container string) int {
	return slices.IndexFunc(d.Lanes, func(l Lane) bool { return l.Container.Name == container })
}

// legend explains the colours.
func (d *drawing) legend(y float64) {
	x := float64(margin)
	for _, s := range []State{Waiting, Starting, Ready, Stopping} {
		d.Rect("swatch "+string(s), "", x, y-11, 14, 14)
		d.Label("faint", string(s), "", x+20, y)
		x += 20 + picture.Width(string(s)) + gap
	}
	d.Rect("outline", "", x, y-11, 14, 14)
	d.Label("faint", "critical chain", "", x+20, y)
}

// Page adds the timeline to a page: the picture, the critical chain, the containers as a
// table, and the merged log. graph is a picture of the pod's intended order, or nil.
func (t Timeline) Page(page *picture.Page, graph *picture.Picture) {
	page.Heading(t.heading())
	if t.Cause != "" {
		page.Text("Cause: " + t.Cause)
	}
	page.Figure(t.Picture())
	if graph != nil {
		page.Heading("Order")
		page.Figure(graph)
	}
	page.Heading("Critical chain")
	var chain [][]string
	for i, m := range t.Chain {
		took := ""
		if i+1 < len(t.Chain) {
			took = "+" + Seconds(m.At.Sub(t.Chain[i+1].At))
		}
		chain = append(chain, []string{m.name(), "@" + t.offset(m.At), took, t.note(m)})
	}
	page.Table([]string{"moment", "at", "after its cause", "why"}, chain)
	page.Heading("Containers")
	page.Table([]string{"container", "role", "waiting", "starting", "ready", "stopping", "result"}, t.table())
	page.Heading("Log")
	page.Table([]string{"at", "container", "event", ""}, t.rows())
}

// table returns how long each container was in each state, over all its incarnations.
func (t Timeline) table() [][]string {
	var rows [][]string
	for _, l := range t.Lanes {
		sum := map[State]time.Duration{}
		for _, s := range l.Segments {
			sum[s.State] += s.To.Sub(s.From)
		}
		row := []string{l.Container.Name, l.Container.Role}
		for _, s := range []State{Waiting, Starting, Ready, Stopping} {
			row = append(row, Seconds(sum[s]))
		}
		rows = append(rows, append(row, l.summary()))
	}
	return rows
}
