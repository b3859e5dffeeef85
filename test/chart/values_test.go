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
		{"a selector that is none", "webhook.namespaceSelector.matchExpressions[0].key=a", "missing property 'operator'"},
		{"a port that is none", "webhook.port=0", "webhook/port"},
		{"B18: an image in one word", "image.webhook=koordinator/webhook:v1", "image/webhook"},
		{"B18: a digest that is none", "image.wrapper.digest=v1", "image/wrapper/digest"},
		{"B18: a tag in the repository", "image.wrapper.repository=koordinator/wrapper:v1", "image/wrapper/repository"},
		{"B19: a flag that is none", "extraArgs={extra}", "extraArgs/0"},
		{"B19: a variable without a name", "extraEnv[0].value=x", "missing property 'name'"},
		{"a sidecar's endpoint that is none", "sidecars.mesh.ready=redis://x", "sidecars/mesh/ready"},
		{"a sidecar's request without a method", "sidecars.mesh.stop=http://127.0.0.1/quit", "sidecars/mesh/stop"},
		{"a sidecar's setting that is not there", "sidecars.mesh.readiness=x", "'readiness' not allowed"},
		{"a sidecar that cannot be a container", "sidecars.Mesh.injected=true", "invalid propertyName 'Mesh'"},
		{"a label that is a number", "podLabels.tier=1", "got number, want string"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, complaint := helmSays(t, "--set", tt.set); !strings.Contains(complaint, tt.want) {
				t.Errorf("have %q, want it to hold %q", complaint, tt.want)
			}
		})
	}
}

// values returns the values of a file as a tree.
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

// schema covers the parts of JSON Schema that the chart's schema uses.
type schema struct {
	Type                 any               `json:"type"`
	Description          string            `json:"description"`
	AdditionalProperties any               `json:"additionalProperties"`
	Properties           map[string]schema `json:"properties"`
}

// kubernetes lists the values with fields or labels of Kubernetes, which the API server checks.
var kubernetes = []string{".resources", ".strategy", ".nodeSelector", ".podSecurityContext", ".containerSecurityContext", ".metrics.dashboard.labels"}

// TestSchemaKnowsExactlyTheValues compares the trees of the values and of the schema.
func TestSchemaKnowsExactlyTheValues(t *testing.T) {
	data, err := os.ReadFile(source + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(data, &root); err != nil {
		t.Fatal(err)
	}
	var walk func(place string, s schema, tree map[string]any)
	walk = func(place string, s schema, tree map[string]any) {
		if parents := place == ".global."; s.AdditionalProperties != parents { // parent charts set other values there
			t.Errorf("%s: unknown values are refused: %v", place, !parents)
		}
		have, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(maps.Keys(tree))
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s: the schema's properties (-values.yaml +schema):\n%s", place, diff)
		}
		for key, value := range tree {
			if s.Properties[key].Description == "" {
				t.Errorf("%s%s has no description", place, key)
			}
			below, isTree := value.(map[string]any)
			if isTree && len(below) > 0 && !slices.Contains(kubernetes, place+key) {
				walk(place+key+".", s.Properties[key], below)
			}
		}
	}
	walk(".", root, values(t, source+"/values.yaml"))
}

// TestEveryValueIsTried checks that the files in ci/ set every value to another than the
// default. A test installs them on a real API server.
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

// leaves returns the values of a tree's leaves, by place.
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
