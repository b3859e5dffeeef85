// Package pictures checks the pictures of kubectl koordinator in a browser.
package pictures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Browser is a headless Chromium.
type Browser struct{ path string }

// Find returns the browser of this machine. If there is none, it installs the Debian
// package, which requires root.
func Find(ctx context.Context) (Browser, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return Browser{path}, nil
		}
	}
	install := "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core"
	if out, err := exec.CommandContext(ctx, "sh", "-c", install).CombinedOutput(); err != nil {
		return Browser{}, fmt.Errorf("no browser is installed, and it cannot be installed (%w): install the package chromium\n%s", err, out)
	}
	path, err := exec.LookPath("chromium")
	return Browser{path}, err
}

// Box is the place of an element of a picture, in pixels.
type Box struct {
	Class, Text              string
	Left, Top, Right, Bottom float64
}

// Overlaps reports whether two boxes share more than an edge.
func (b Box) Overlaps(o Box) bool {
	const edge = 0.5
	return b.Left+edge < o.Right && o.Left+edge < b.Right && b.Top+edge < o.Bottom && o.Top+edge < b.Bottom
}

// Within reports whether the box is inside another.
func (b Box) Within(o Box) bool {
	const edge = 0.5
	return b.Left >= o.Left-edge && b.Right <= o.Right+edge && b.Top >= o.Top-edge && b.Bottom <= o.Bottom+edge
}

// Measured is a picture as the browser lays it out.
type Measured struct {
	Picture Box
	Ground  string // colour of the background
	Ink     string // colour of labels
	Parts   []Box
}

// measure is a script that makes the browser write the places of all elements. It is not
// part of a picture.
const measure = `<script>
const svg = document.querySelector("svg");
const box = e => { const r = e.getBoundingClientRect(); return {Class: e.getAttribute("class") || "", Text: e.tagName == "text" ? [...e.childNodes].filter(n => n.nodeType == 3).map(n => n.data).join("") : "", Left: r.left, Top: r.top, Right: r.right, Bottom: r.bottom}; };
const fill = c => { const e = svg.querySelector(c); return e ? getComputedStyle(e).fill : ""; };
const parts = [...svg.querySelectorAll("text, rect[class], path[class], line[class]")].filter(e => !e.closest("defs") && !e.classList.contains("ground")).map(box);
document.getElementById("measured").textContent = JSON.stringify({Picture: box(svg), Ground: fill(".ground"), Ink: fill(".label"), Parts: parts});
</script>`

// Measure renders a picture on a light or a dark background. If a file name is given, it
// also takes a screenshot.
func (b Browser) Measure(ctx context.Context, svg string, dark bool, screenshot string) (Measured, error) {
	var m Measured
	dir, err := os.MkdirTemp("", "picture")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	page := filepath.Join(dir, "page.html")
	text := "<!DOCTYPE html><meta charset=utf-8><body style='margin:0'>" + svg + "<pre id=measured></pre>" + measure
	if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
		return m, err
	}
	out, err := b.run(ctx, dir, dark, "--dump-dom", "file://"+page)
	if err != nil {
		return m, err
	}
	_, rest, found := strings.Cut(string(out), `<pre id="measured">`)
	measured, _, ended := strings.Cut(rest, "</pre>")
	if !found || !ended {
		return m, errors.New("the browser has measured nothing")
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(measured)), &m); err != nil {
		return m, fmt.Errorf("read what the browser has measured: %w", err)
	}
	if screenshot != "" {
		picture := filepath.Join(dir, "picture.html")
		if err := os.WriteFile(picture, []byte("<!DOCTYPE html><meta charset=utf-8><body style='margin:0'>"+svg), 0o644); err != nil {
			return m, err
		}
		_, err = b.run(ctx, dir, dark, fmt.Sprintf("--window-size=%.0f,%.0f", m.Picture.Right, max(m.Picture.Bottom, 100)), "--screenshot="+screenshot, "file://"+picture)
	}
	return m, err
}

// run runs the browser.
func (b Browser) run(ctx context.Context, dir string, dark bool, args ...string) ([]byte, error) {
	scheme := 1
	if dark {
		scheme = 0
	}
	args = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
		"--user-data-dir=" + filepath.Join(dir, "profile"), fmt.Sprintf("--blink-settings=preferredColorScheme=%d", scheme),
	}, args...)
	cmd := exec.CommandContext(ctx, b.path, args...)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the browser: %w\n%s", err, problems.String())
	}
	return out, nil
}
