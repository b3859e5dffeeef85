package image

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Index contains the operator's entries for images, for which no registry is
// asked. The zero value is empty.
type Index struct{ entries []indexEntry } // the most specific first

// indexEntry is the command of images whose names match a pattern.
type indexEntry struct {
	pattern string // as written
	name    string // host/path; each path element may be a glob of path.Match
	tag     string // glob; "" for every image, also without a tag
	config  Config
}

// indexed is the notation of an entry: ENTRYPOINT, CMD and STOPSIGNAL as in a
// Dockerfile. A list alone is the ENTRYPOINT.
type indexed struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
	StopSignal string   `json:"stopSignal"`
}

// ParseIndex parses documents by name. Each document is a YAML map from image
// pattern to command. A pattern is written like an image in a pod, for example
// "nginx" or "shop.example/team/*". Each path element may contain "*" and "?",
// and a pattern without a tag matches every tag and digest. A pattern with a tag
// matches the tag of an image, also if a digest follows it. ParseIndex omits
// invalid entries and reports them in the errors.
func ParseIndex(documents map[string]string) (Index, []error) {
	var index Index
	var problems []error
	places := map[string]string{}
	for _, document := range slices.Sorted(maps.Keys(documents)) {
		var entries map[string]json.RawMessage
		if err := yaml.UnmarshalStrict([]byte(documents[document]), &entries); err != nil {
			problems = append(problems, fmt.Errorf("%s: want a YAML map from image to command: %w", document, err))
			continue
		}
		for _, pattern := range slices.Sorted(maps.Keys(entries)) {
			e, err := parseEntry(pattern, entries[pattern])
			if before, twice := places[e.name+":"+e.tag]; twice && err == nil {
				err = fmt.Errorf("given in %s, too: keep one", before)
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %q: %w", document, pattern, err))
				continue
			}
			places[e.name+":"+e.tag] = document
			index.entries = append(index.entries, e)
		}
	}
	slices.SortStableFunc(index.entries, func(a, b indexEntry) int { return b.weight() - a.weight() })
	return index, problems
}

// parseEntry parses one entry.
func parseEntry(pattern string, value json.RawMessage) (indexEntry, error) {
	e := indexEntry{pattern: pattern, name: pattern}
	if i := strings.LastIndexByte(pattern, ':'); i > strings.LastIndexByte(pattern, '/') {
		e.name, e.tag = pattern[:i], pattern[i+1:]
	}
	words := strings.Split(e.name, "/")
	switch {
	case len(words) == 1:
		words = append([]string{hub[0], "library"}, words...)
	case !strings.ContainsAny(words[0], ".:") && words[0] != "localhost":
		words = append([]string{hub[0]}, words...)
	case isHub(words[0]):
		words[0] = hub[0]
	}
	e.name = strings.Join(words, "/")
	for _, glob := range slices.Concat(words, []string{cmp.Or(e.tag, "*")}) {
		if _, err := path.Match(glob, ""); err != nil || glob == "" || strings.Contains(glob, "@") {
			return e, errors.New("this is no pattern of images: write registry/name or registry/name:tag, words of it with * and ?")
		}
	}
	var form indexed
	if bytes.HasPrefix(value, []byte("[")) {
		value = append(append([]byte(`{"entrypoint":`), value...), '}')
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&form); err != nil {
		return e, fmt.Errorf("want a list of strings, or {entrypoint: […], cmd: […], stopSignal: …}: %w", err)
	}
	if len(form.Entrypoint)+len(form.Cmd) == 0 {
		if form.StopSignal == "" {
			return e, errors.New("names neither a program nor a signal: give entrypoint, cmd or stopSignal")
		}
	}
	e.config = Config{Entrypoint: form.Entrypoint, Cmd: form.Cmd, StopSignal: form.StopSignal}
	return e, nil
}

// weight orders entries by specificity: names without globs first, then patterns
// with a tag, then longer patterns.
func (e indexEntry) weight() int {
	weight := len(e.name) + len(e.tag)
	if !strings.ContainsAny(e.name, "*?[") {
		weight += 1 << 21
	}
	if e.tag != "" {
		weight += 1 << 20
	}
	return weight
}

// Find returns the index's command of an image, written as in a pod, and the
// pattern that matched. The most specific pattern wins: one whose name has no
// globs, then one with a tag, then the longest.
func (x Index) Find(image string) (facts Facts, pattern string, found bool) {
	e, found := x.match(image)
	if !found || len(e.config.Entrypoint)+len(e.config.Cmd) == 0 {
		return Facts{}, "", false
	}
	return Facts{Platforms: []Platform{{Name: "any", Config: e.config}}, Cached: true}, e.pattern, true
}

// StopSignal returns the index's stop signal of an image, written as in a pod, or
// "" if it has none.
func (x Index) StopSignal(image string) string {
	e, _ := x.match(image)
	return e.config.StopSignal
}

// match returns the entry for an image.
func (x Index) match(image string) (e indexEntry, found bool) {
	if len(x.entries) == 0 {
		return e, false
	}
	ref, err := parseReference(image, nil)
	if err != nil {
		return e, false
	}
	full := ref.host + "/" + ref.Context().RepositoryStr()
	for _, e := range x.entries {
		nameFits, _ := path.Match(e.name, full)
		tagFits, _ := path.Match(e.tag, ref.tag)
		if nameFits && (e.tag == "" || tagFits) {
			return e, true
		}
	}
	return e, false
}
