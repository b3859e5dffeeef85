package main

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os/exec"
	"slices"
	"strings"

	"koordinator.io/koordinator/cli/picture"
)

// module is the prefix of the packages that are drawn.
const module = "koordinator.io/koordinator/"

// Sizes of the picture of packages, in pixels.
const (
	pad     = 20.0
	gap     = 10.0
	boxHigh = 26.0
	across  = 2 // number of boxes in a line of a cell
)

// listed is a package as "go list" prints it.
type listed struct {
	ImportPath string
	Imports    []string
}

// packages draws the architecture: a column for each part, and a row for each layer. A
// package imports only packages of lower rows.
func packages() (*picture.Picture, error) {
	all, err := list()
	if err != nil {
		return nil, err
	}
	depths := map[string]int{}
	rows := 0
	for name := range all {
		rows = max(rows, depth(all, depths, name)+1)
	}
	parts := []string{"wrapper", "webhook", "cli", "cmd"}
	cells := make([]map[string][]string, rows) // by row and part
	for i := range cells {
		cells[i] = map[string][]string{}
	}
	for name, d := range depths {
		part, _, _ := strings.Cut(name, "/")
		cells[d][part] = append(cells[d][part], name)
	}
	return house(parts, cells), nil
}

// list returns the imports of this module's packages, by package.
func list() (map[string][]string, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./cmd/...", "./wrapper/...", "./webhook/...", "./cli/...").Output()
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		all[name] = nil
		for _, path := range p.Imports {
			if imported, own := strings.CutPrefix(path, module); own {
				all[name] = append(all[name], imported)
			}
		}
	}
}

// depth returns the number of this module's packages on the longest import chain below a package.
func depth(all map[string][]string, known map[string]int, name string) int {
	if d, found := known[name]; found {
		return d
	}
	d := 0
	for _, imported := range all[name] {
		d = max(d, depth(all, known, imported)+1)
	}
	known[name] = d
	return d
}

// house draws the cells, the last row on top.
func house(parts []string, cells []map[string][]string) *picture.Picture {
	box := 0.0
	for _, row := range cells {
		for _, names := range row {
			slices.Sort(names)
			for _, name := range names {
				box = math.Max(box, picture.Width(label(name))+2*gap)
			}
		}
	}
	column := across*(box+gap) + gap
	width := 2*pad + float64(len(parts))*column
	height := 2*pad + 4*picture.LineHeight
	for _, row := range cells {
		height += rowHigh(row)
	}
	p := picture.New("The packages of koordinator", width, height)
	for i, part := range parts {
		p.Label("title", part, "", pad+float64(i)*column+gap, pad+picture.LineHeight)
	}
	y := pad + 2*picture.LineHeight
	for _, row := range slices.Backward(cells) {
		p.Line("rule", pad, y, width-pad, y)
		for i, part := range parts {
			for n, name := range row[part] {
				x := pad + float64(i)*column + gap + float64(n%across)*(box+gap)
				top := y + gap + float64(n/across)*(boxHigh+gap)
				p.Rect("box", name, x, top, box, boxHigh)
				p.Label("", label(name), name, x+gap, top+17)
			}
		}
		y += rowHigh(row)
	}
	p.Line("rule", pad, y, width-pad, y)
	p.Label("faint", "A package imports packages of lower rows only.", "", pad+gap, y+1.5*picture.LineHeight)
	return p
}

// rowHigh returns the height of a row, which is that of its fullest cell.
func rowHigh(row map[string][]string) float64 {
	lines := 0
	for _, names := range row {
		lines = max(lines, (len(names)+across-1)/across)
	}
	return float64(lines)*(boxHigh+gap) + gap
}

// label returns the name of a package in its column.
func label(name string) string {
	if _, last, found := strings.Cut(name, "/"); found {
		return last
	}
	return name
}
