package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestMistakesAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, set, want string }{
		{"a value that is not there", "replica=3", "'replica' not allowed"},
		{"a value that is not there, further down", "webhook.failurepolicy=Fail", "'failurepolicy' not allowed"},
		{"another way to make certificates", "certificates=helm", "'cert-manager', 'self-signed'"},
		{"another failure policy", "webhook.failurePolicy=Open", "'Fail', 'Ignore'"},
		{"a timeout that the API server refuses", "webhook.timeoutSeconds=31", "maximum: got 31, want 30"},
		{"an old version of TLS", "webhook.minTLSVersion=1.1", "webhook/minTLSVersion"},
		{"a number as text", "replicas=many", "got string, want integer"},
		{"a quantity that is none", "install.memory=much", "install/memory"},
		{"a pull secret without its name", "imagePullSecrets[0].secret=x", "missing property 'name'"},
		{"B18: an image in one word", "image.webhook=koordinator/webhook:v1", "image/webhook"},
		{"B18: a digest that is none", "image.wrapper.digest=v1", "image/wrapper/digest"},
		{"B18: a tag in the repository", "image.wrapper.repository=koordinator/wrapper:v1", "image/wrapper/repository"},
		{"B19: a flag that is none", "extraArgs={extra}", "extraArgs/0"},
		{"B19: a variable without a name", "extraEnv[0].value=x", "missing property 'name'"},
		{"a label that is a number", "podLabels.tier=1", "got number, want string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, complaint := helmSays(t, "--set", tt.set); !strings.Contains(complaint, tt.want) {
				t.Errorf("have %q, want it to hold %q", complaint, tt.want)
			}
		})
	}
}

// values are a file's, as a tree.
func values(t *testing.T, file string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return tree
}

// schema is as much of a JSON schema as the chart's uses.
type schema struct {
	Type                 any               `json:"type"`
	AdditionalProperties any               `json:"additionalProperties"`
	Properties           map[string]schema `json:"properties"`
}

// TestSchemaKnowsExactlyTheValues walks both trees together.
func TestSchemaKnowsExactlyTheValues(t *testing.T) {
	data, err := os.ReadFile(source + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	delete(root.Properties, "global") // Helm's own
	var walk func(place string, s schema, tree map[string]any)
	walk = func(place string, s schema, tree map[string]any) {
		if s.AdditionalProperties != false {
			t.Errorf("%s: unknown values are not refused", place)
		}
		have, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(maps.Keys(tree))
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: the schema's properties (-values.yaml +schema):\n%s", place, diff)
		}
		for key, value := range tree {
			below, isTree := value.(map[string]any)
			if isTree && len(below) > 0 && place+key != ".resources" {
				walk(place+key+".", s.Properties[key], below)
			}
		}
	}
	walk(".", root, values(t, source+"/values.yaml"))
}

// TestEveryValueIsTried: the files in ci/, which are installed for a test on a
// real API server, give every value another than the default.
func TestEveryValueIsTried(t *testing.T) {
	tried := map[string]bool{}
	files, err := filepath.Glob(source + "/ci/*-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defaults := leaves("", values(t, source+"/values.yaml"))
	for _, file := range files {
		for place, value := range leaves("", values(t, file)) {
			for parent := place; parent != ""; parent = parent[:max(0, strings.LastIndex(parent, "."))] {
				if defaults[parent] != value {
					tried[parent] = true
				}
			}
		}
	}
	for place := range defaults {
		if !tried[place] {
			t.Errorf("%s has its default in all of %v", place, files)
		}
	}
}

// leaves are a tree's values by their places.
func leaves(place string, tree map[string]any) map[string]string {
	all := map[string]string{}
	for key, value := range tree {
		key = strings.TrimPrefix(place+"."+key, ".")
		if below, isTree := value.(map[string]any); isTree && len(below) > 0 {
			maps.Copy(all, leaves(key, below))
			continue
		}
		all[key] = fmt.Sprint(value)
	}
	return all
}
