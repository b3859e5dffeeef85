package annotations

import (
	"fmt"
	"strings"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/messages"
)

// unknownAnnotation returns the mistake of an annotation with an unknown name. It
// does not suggest "status", which only koordinator sets.
func unknownAnnotation(name string) error {
	known := slicesWithout(Names(), "status")
	return &mistake{messages.UnknownAnnotation, inject.Prefix + name, "koordinator has no annotation of this name", didYouMean(name, known, inject.Prefix)}
}

// unknownField returns the mistake of a field that users cannot set in a spec.
func unknownField(name string) error {
	return &mistake{messages.UnknownField, name, fmt.Sprintf("a spec has no field %q", name), didYouMean(name, fields(), "")}
}

// slicesWithout returns a list of names without one of them.
func slicesWithout(all []string, name string) []string {
	var rest []string
	for _, other := range all {
		if other != name {
			rest = append(rest, other)
		}
	}
	return rest
}

// didYouMean suggests the nearest of the known names, or all of them if none is
// similar.
func didYouMean(name string, known []string, prefix string) string {
	if near := messages.Nearest(name, known); near != "" {
		return fmt.Sprintf("Did you mean %q?", prefix+near)
	}
	return "Use one of " + strings.Join(known, ", ")
}

// example returns an example of an annotation's value.
func example(name string) string {
	switch name {
	case "start-deps":
		return `"main: proxy"`
	case "restart-with":
		return `"main: proxy"`
	case "env-file":
		return `"main: /vault/secrets/env"`
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

// excerpt quotes a value, shortened if it is long.
func excerpt(text string) string {
	const most = 40
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", text)
}
