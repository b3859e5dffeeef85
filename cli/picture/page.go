package picture

import (
	"html"
	"strings"
)

// Page is a self-contained HTML page: it needs no script, no other file and no font.
type Page struct {
	Title string
	body  strings.Builder
}

// Heading begins a section.
func (p *Page) Heading(text string) {
	p.body.WriteString("<h2>" + html.EscapeString(text) + "</h2>\n")
}

// Figure adds a picture.
func (p *Page) Figure(picture *Picture) {
	p.body.WriteString("<figure>" + picture.SVG() + "</figure>\n")
}

// Text adds preformatted text.
func (p *Page) Text(text string) {
	p.body.WriteString("<pre>" + html.EscapeString(text) + "</pre>\n")
}

// Table adds a table.
func (p *Page) Table(head []string, rows [][]string) {
	p.body.WriteString("<table>\n<thead>")
	p.row("th", head)
	p.body.WriteString("</thead>\n<tbody>\n")
	for _, row := range rows {
		p.row("td", row)
	}
	p.body.WriteString("</tbody></table>\n")
}

func (p *Page) row(cell string, values []string) {
	p.body.WriteString("<tr>")
	for _, v := range values {
		p.body.WriteString("<" + cell + ">" + html.EscapeString(v) + "</" + cell + ">")
	}
	p.body.WriteString("</tr>\n")
}

// HTML returns the whole page.
func (p *Page) HTML() string {
	title := html.EscapeString(p.Title)
	return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>` + title + `</title>
<style>` + Style() + `body{background:var(--ground);color:var(--ink);font:14px system-ui,sans-serif;margin:2em}
figure{margin:0;overflow-x:auto}
pre,td{font:12px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
pre{overflow-x:auto}
table{border-collapse:collapse}
th,td{text-align:left;padding:2px 12px 2px 0;border-bottom:1px solid var(--rule);vertical-align:top}
</style></head>
<body>
<h1>` + title + `</h1>
` + p.body.String() + `</body></html>
`
}
