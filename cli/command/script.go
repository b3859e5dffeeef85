package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"koordinator.io/koordinator/cli/order"
	"koordinator.io/koordinator/cli/simulate"
	"koordinator.io/koordinator/wrapper/spec"
)

// reader parses options about containers and collects the mistakes in them.
type reader struct {
	order    order.Order
	problems []error
}

// add notes a mistake in an option.
func (r *reader) add(option, text string, err error) {
	r.problems = append(r.problems, fmt.Errorf("%s %s: %w", option, text, err))
}

// ends parses CONTAINER, a separator, TIME and an optional :CODE.
func (r *reader) ends(option string, values []string, separator string, code int) map[string]simulate.End {
	all := map[string]simulate.End{}
	for _, text := range values {
		name, rest, err := r.split(text, separator)
		if err != nil {
			r.add(option, text, err)
			continue
		}
		end := simulate.End{Code: code}
		when, number, coded := strings.Cut(rest, ":")
		if coded {
			if end.Code, err = strconv.Atoi(number); err != nil || end.Code < 0 || end.Code > 255 {
				r.add(option, text, fmt.Errorf("exit code %q is not between 0 and 255", number))
				continue
			}
		}
		if end.At, err = duration(when); err != nil {
			r.add(option, text, err)
			continue
		}
		all[name] = end
	}
	return all
}

// times parses CONTAINER=TIME.
func (r *reader) times(option string, values []string) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, text := range values {
		if at := strings.LastIndex(text, "="); at > 0 && r.endpoint(text[:at]) {
			d, err := duration(text[at+1:])
			if err != nil {
				r.add(option, text, err)
			}
			all[text[:at]] = d
			continue
		}
		name, rest, err := r.split(text, "=")
		if err == nil {
			all[name], err = duration(rest)
		}
		if err != nil {
			r.add(option, text, err)
		}
	}
	return all
}

// endpoint reports whether any container waits for the endpoint with that URL.
func (r *reader) endpoint(url string) bool {
	return slices.ContainsFunc(r.order.Containers, func(c order.Container) bool {
		return slices.ContainsFunc(c.Spec.StartEndpoints, func(e spec.Endpoint) bool { return e.URL == url })
	})
}

// split splits a container's name from the text after a separator.
func (r *reader) split(text, separator string) (name, rest string, err error) {
	name, rest, found := strings.Cut(text, separator)
	if !found {
		return "", "", fmt.Errorf("want CONTAINER%sTIME, for example proxy%s3s", separator, separator)
	}
	if !slices.ContainsFunc(r.order.Containers, func(c order.Container) bool { return c.Name == name }) {
		var names []string
		for _, c := range r.order.Containers {
			names = append(names, c.Name)
		}
		return "", "", fmt.Errorf("no container %q in this pod (has: %s)", name, strings.Join(names, ", "))
	}
	return name, rest, nil
}

// duration parses a time, or the word never.
func duration(text string) (time.Duration, error) {
	if text == "never" {
		return simulate.Never, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time: want a number with a unit, for example 3s", text)
	}
	return d, nil
}
