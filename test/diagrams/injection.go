package main

import (
	"math"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/picture"
	"koordinator.io/koordinator/webhook/inject"
)

// Sizes of the picture of the injection, in pixels.
const (
	podTop   = 90.0
	inner    = 14.0
	boxTall  = 3*picture.LineHeight + 12
	arrowLen = 120.0
)

// injection shows the webhook's changes to the pod of a sample: the pod template on the
// left, the injected pod on the right.
func injection() (*picture.Picture, error) {
	p, name, err := podIn(jobSample)
	if err != nil {
		return nil, err
	}
	var orders []string
	for _, annotation := range []string{"start-deps", "stop-deps"} {
		orders = append(orders, annotation+": "+strings.TrimSpace(p.Pod.Annotations[inject.Prefix+annotation]))
	}
	before, after := [][]string{}, [][]string{}
	for _, c := range p.Pod.Spec.Containers {
		command := command(c)
		before = append(before, []string{c.Name, command})
		after = append(after, []string{c.Name, "koordinator -- " + command, "KOORDINATOR_SPEC"})
	}
	volumes := [][]string{{"volume: the wrapper", "read-only in every container"}, {"volume: records", "one directory per container, in memory"}}

	left := widest(append([][]string{orders}, before...)...)
	right := widest(append(after, volumes...)...)
	height := podTop + float64(len(after)+len(volumes))*(boxTall+inner) + inner + 2*pad
	pic := picture.New("What the webhook adds to a pod", 2*pad+left+arrowLen+right+4*inner, height)
	pic.Label("title", "Pod template of Job "+name, "", pad, pad+picture.LineHeight)
	pic.Label("title", "Pod", "", pad+left+2*inner+arrowLen, pad+picture.LineHeight)
	for i, o := range orders {
		pic.Label("faint", o, "", pad+inner, pad+float64(i+2)*picture.LineHeight+4)
	}
	boxes(pic, before, pad, left, 0)
	boxes(pic, append(after, volumes...), pad+left+2*inner+arrowLen, right, len(after))
	middle := podTop + boxTall
	pic.Arrow("start", "", pad+left+2*inner+8, middle, pad+left+2*inner+arrowLen-8, middle, true)
	pic.Label("", "webhook", "", pad+left+2*inner+arrowLen/2-picture.Width("webhook")/2, middle-10)
	return pic, nil
}

// command returns the beginning of a container's command.
func command(c corev1.Container) string {
	return strings.Join(c.Command, " ") + " …"
}

// widest returns the width of the widest text of all boxes.
func widest(all ...[]string) float64 {
	width := 0.0
	for _, lines := range all {
		for _, text := range lines {
			width = math.Max(width, picture.Width(text))
		}
	}
	return width + 2*inner
}

// boxes draws a pod: a frame, and a box for each container. volumes is the index of the
// first box that is a volume, 0 for none.
func boxes(p *picture.Picture, all [][]string, x, width float64, volumes int) {
	p.Rect("box", "", x, podTop-inner, width+2*inner, float64(len(all))*(boxTall+inner)+inner)
	for i, lines := range all {
		class := "box"
		if volumes > 0 && i >= volumes {
			class = "box unwrapped"
		}
		y := podTop + float64(i)*(boxTall+inner)
		p.Rect(class, "", x+inner, y, width, boxTall)
		for n, text := range lines {
			style := "faint"
			if n == 0 {
				style = "title"
			}
			p.Label(style, text, "", x+2*inner, y+float64(n+1)*picture.LineHeight+2)
		}
	}
}
