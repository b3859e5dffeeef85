package picture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Colours holds the colours for one background, by the name of the variable.
type Colours map[string]string

// The colours of states differ in brightness as well as in hue, so that they can be
// distinguished with any colour vision and in print; the last is also hatched. They are
// based on the palette of Okabe and Ito (https://jfly.uni-koeln.de/color/).
func light() Colours {
	return Colours{
		"ground": "#ffffff", "ink": "#1b1f24", "faint": "#59636e", "rule": "#d1d9e0",
		"waiting": "#d9dee3", "starting": "#f0b323", "ready": "#0b6aa8", "stopping": "#b5408a", "stripe": "#e9b9d8",
		"critical": "#1b1f24", "start": "#0b6aa8", "stop": "#b5408a",
	}
}

func dark() Colours {
	return Colours{
		"ground": "#0d1117", "ink": "#f0f3f6", "faint": "#9aa4af", "rule": "#30363d",
		"waiting": "#3d444d", "starting": "#b98208", "ready": "#6cc0f7", "stopping": "#ff9bd8", "stripe": "#8a3f6e",
		"critical": "#f0f3f6", "start": "#6cc0f7", "stop": "#ff9bd8",
	}
}

// variables writes colours as CSS.
func variables(c Colours) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "--%s:%s;", name, c[name])
	}
	return b.String()
}

// Style returns the style sheet of every picture and page.
func Style() string {
	return "\n:root{color-scheme:light dark;" + variables(light()) + "}\n" +
		"@media (prefers-color-scheme: dark){:root{" + variables(dark()) + "}}\n" + rules
}

// rules defines the appearance of each class.
const rules = `.ground{fill:var(--ground)}
.label{white-space:pre;font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;fill:var(--ink)}
.label.faint{fill:var(--faint)}
.label.title{font-weight:bold}
.rule{stroke:var(--rule);stroke-width:1}
.lane{fill:none;stroke:none}
.box{fill:var(--ground);stroke:var(--ink);stroke-width:1.2}
.box.unwrapped{stroke-dasharray:4 3}
.waiting{fill:var(--waiting)}
.starting{fill:var(--starting)}
.ready{fill:var(--ready)}
.stopping{fill:url(#hatch)}
.stopping-ground{fill:var(--stopping)}
.stopping-stripe{fill:var(--stripe)}
.outline{fill:none;stroke:var(--critical);stroke-width:2}
.arrow{fill:none;stroke:var(--faint);stroke-width:1.2}
.head{fill:var(--faint)}
.arrow.start{stroke:var(--start)}
.head.start{fill:var(--start)}
.arrow.stop{stroke:var(--stop);stroke-dasharray:5 3}
.head.stop{fill:var(--stop)}
.arrow.critical{stroke:var(--critical);stroke-width:2}
.head.critical{fill:var(--critical)}
`
