package corpus

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
)

// sum is the hash of all templates as JSON. It changes with the grammar and with the API's
// types. Then, set it to the value that the test prints.
const sum = "f7145e8bae5644b4020897723d0332e3238fd888878260e0e3fb4f58e8be2b54"

func TestTheTemplatesAreTheSameInEachRun(t *testing.T) {
	hash := sha256.New()
	names := map[string]bool{}
	restricted := 0
	for _, template := range Templates() {
		raw, err := json.Marshal(template.Pod)
		if err != nil {
			t.Fatal(err)
		}
		hash.Write(raw)
		names[template.Name] = true
		if template.Restricted {
			restricted++
		}
	}
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != sum {
		t.Errorf("the templates have changed: their sum is %s, not %s", got, sum)
	}
	if len(names) < 300 || len(names) != Size || restricted < 100 {
		t.Errorf("%d templates, %d restricted, want %d and at least 100", len(names), restricted, Size)
	}
}

// enough is the minimum number of occurrences of each feature.
const enough = 5

// The features are counted in the JSON that the API server receives.
func TestEveryFeatureIsThere(t *testing.T) {
	patterns := compile()
	count := map[string]int{}
	for name := range shapes {
		count[name] = 0
	}
	for name := range patterns {
		count[name] = 0
	}
	for _, template := range Templates() {
		raw, err := json.Marshal(template.Pod)
		if err != nil {
			t.Fatal(err)
		}
		for name, pattern := range patterns {
			if pattern.Match(raw) {
				count[name]++
			}
		}
		for name, has := range shapes {
			if has(template.Pod) {
				count[name]++
			}
		}
	}
	for name, n := range count {
		if n < enough {
			t.Errorf("%s: in %d templates, want %d", name, n, enough)
		}
	}
	t.Logf("%d features, the rarest in %d templates", len(count), slices.Min(slices.Collect(maps.Values(count))))
}

// compile compiles the patterns of all features, by the feature.
func compile() map[string]*regexp.Regexp {
	all := map[string]*regexp.Regexp{}
	for name, pattern := range patterns {
		all[name] = regexp.MustCompile(pattern)
	}
	for _, list := range lists {
		for _, key := range list.of {
			all[list.name+" "+key] = regexp.MustCompile(fmt.Sprintf(list.pattern, regexp.QuoteMeta(key)))
		}
	}
	return all
}
