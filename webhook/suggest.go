package webhook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unknownAnnotation says that there is no annotation of this name, and which
// there are.
func unknownAnnotation(name string) string {
	known := slices.Concat(slices.Collect(maps.Keys(settings)), others)
	slices.Sort(known)
	return fmt.Sprintf("unknown annotation%s (known: %s)", didYouMean(name, known), strings.Join(known, ", "))
}

// didYouMean is a question for the nearest of the known names, or "" when none
// is near.
func didYouMean(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is the number of letters to insert, delete or replace to make one
// name of the other. Long names are not worth the time.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// example shows the form of an annotation's value.
func example(name string) string {
	switch name {
	case "start-deps":
		return `"main: proxy"`
	case "stop-deps":
		return `"proxy: main"`
	case "essential":
		return `"main" or "[main, helper=failed]"`
	case "gate":
		return `"false" or "main: false"`
	case "stop-http", "exit-http":
		return `"main: POST http://127.0.0.1:15020/quitquitquit"`
	case "command":
		return `{"main": ["/app", "--flag"]}`
	case "spec":
		return `{"main": {"startDeps": ["proxy"]}}`
	default:
		return `"main: …"`
	}
}

// shorten quotes a value, the beginning of it when it is long.
func shorten(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
