package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// unset matches a flag without a value. The values install.cpu and install.memory may be empty.
var unset = regexp.MustCompile(`^--(?:[^i]|i[^n]).*=[:s]?$`)

// missing matches a message of helm about values that the schema requires.
var missing = regexp.MustCompile(`at '(.*)': missing propert(?:y|ies) (.*)`)

// TestANullIsAnEmptyValueOrIsRejected removes each value by setting it to null. The chart
// must either require the value or render a valid manifest without it.
func TestANullIsAnEmptyValueOrIsRejected(t *testing.T) {
	defaults := values(t, source+"/values.yaml")
	byDepth := map[int][]string{}
	for place, value := range nodes("", defaults) {
		if value != nil {
			depth := strings.Count(place, ".")
			byDepth[depth] = append(byDepth[depth], place)
		}
	}
	base := values(t, everything)
	for _, place := range []string{"workloads.validate", "policies.refuseUninjected", "policies.warnUnlabelled", "registry.lookup", "serviceAccount.create"} {
		set(base, place, true) // so that every template is rendered
	}
	for depth, all := range byDepth {
		t.Run(fmt.Sprintf("depth %d", depth), func(t *testing.T) {
			_, complaint := helmSays(t, "--values", nulls(t, map[string]any{}, all))
			required := map[string]bool{}
			for _, match := range missing.FindAllStringSubmatch(complaint, -1) {
				for name := range strings.SplitSeq(match[2], ", ") {
					place := strings.ReplaceAll(match[1], "/", ".") + "." + strings.Trim(name, "'")
					required[strings.TrimPrefix(place, ".")] = true
				}
			}
			var switches, rest []string // a switch that is off could hide another null
			for _, place := range all {
				switch {
				case required[place]:
				case strings.HasSuffix(place, "nabled"):
					switches = append(switches, place)
				default:
					rest = append(rest, place)
				}
			}
			renderedWithout(t, base, switches)
			renderedWithout(t, base, rest)
		})
	}
}

// renderedWithout checks the release in which the values at these places are null.
func renderedWithout(t *testing.T, base map[string]any, places []string) {
	t.Helper()
	for key, object := range render(t, "--values", nulls(t, base, places)) {
		if at := null(object.Object); at != "" {
			t.Errorf("%s: %s is null", key, at)
		}
		if object.GetKind() != "Deployment" {
			continue
		}
		_, c := container(t, objects{deployment: object})
		if i := slices.IndexFunc(c.Args, unset.MatchString); i >= 0 {
			t.Errorf("flag without a value: %s", c.Args[i])
		}
	}
}

// nulls returns a values file with the base and with null at some places.
func nulls(t *testing.T, base map[string]any, places []string) string {
	t.Helper()
	tree := runtime.DeepCopyJSON(base)
	for _, place := range places {
		set(tree, place, nil)
	}
	text, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return valuesFile(t, string(text))
}

// nodes returns all values of a tree, also those that contain others, by place.
func nodes(above string, tree map[string]any) map[string]any {
	all := map[string]any{}
	for key, value := range tree {
		if strings.Contains(key, ".") {
			continue // a label, which the API server checks
		}
		place := strings.TrimPrefix(above+"."+key, ".")
		all[place] = value
		if below, isTree := value.(map[string]any); isTree {
			maps.Copy(all, nodes(place, below))
		}
	}
	return all
}

// set sets the value at a place of a tree.
func set(tree map[string]any, place string, value any) {
	above, key, deeper := strings.Cut(place, ".")
	if !deeper {
		tree[place] = value
		return
	}
	below, isTree := tree[above].(map[string]any)
	if !isTree {
		below = map[string]any{}
		tree[above] = below
	}
	set(below, key, value)
}

// null returns the place of a null in a tree, "" if it has none.
func null(tree any) string {
	switch tree := tree.(type) {
	case nil:
		return "."
	case map[string]any:
		for key, value := range tree {
			if at := null(value); at != "" {
				return "." + key + strings.TrimSuffix(at, ".")
			}
		}
	case []any:
		for i, value := range tree {
			if at := null(value); at != "" {
				return fmt.Sprintf("[%d]%s", i, strings.TrimSuffix(at, "."))
			}
		}
	}
	return ""
}

func TestADisruptionBudgetNeverBlocksEveryEviction(t *testing.T) {
	for _, tt := range []struct{ set, min, max string }{
		{"replicas=2", "", "1"},
		{"podDisruptionBudget.minAvailable=null", "", "1"},
		{"podDisruptionBudget.maxUnavailable=null", "", "1"},
		{"podDisruptionBudget.maxUnavailable=null,podDisruptionBudget.minAvailable=null", "", "1"},
		{"podDisruptionBudget.maxUnavailable=50%", "", "50%"},
		{"podDisruptionBudget.maxUnavailable=0", "", "0"},
		{"podDisruptionBudget.minAvailable=0", "0", ""},
		{"podDisruptionBudget.minAvailable=1", "1", ""},
	} {
		t.Run(tt.set, func(t *testing.T) {
			budget := as[policyv1.PodDisruptionBudget](t, render(t, "--set", tt.set), "PodDisruptionBudget shop").Spec
			var low, high string
			if budget.MinAvailable != nil {
				low = budget.MinAvailable.String()
			}
			if budget.MaxUnavailable != nil {
				high = budget.MaxUnavailable.String()
			}
			if low != tt.min || high != tt.max {
				t.Errorf("minAvailable %q, maxUnavailable %q, want %q and %q", low, high, tt.min, tt.max)
			}
		})
	}
}
