package annotations

import (
	"fmt"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// unknownAnnotation says that there is no annotation of this name, and which
// there are.
func unknownAnnotation(name string) string {
	known := Names()
	return fmt.Sprintf("unknown annotation%s (known: %s)", didYouMean(name, known), strings.Join(known, ", "))
}

// didYouMean is a question for the nearest of the known names, or "" when none
// is near.
func didYouMean(name string, known []string) string {
	best, least := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := spec.Distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
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

// excerpt quotes a value, the beginning of it when it is long.
func excerpt(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
