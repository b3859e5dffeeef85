// Package rules parses the operator's rules into the annotations that each rule
// adds to pods, and reports everything that is wrong with them. The API server
// selects the pods: the chart renders one webhook per rule.
package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
)

// Rule adds annotations to pods that do not have them.
type Rule struct {
	Name        string            `json:"name"`
	Annotations map[string]string `json:"annotations"`

	// FailurePolicy applies to a pod that the annotations do not fit: Ignore creates
	// it without them, and Fail rejects it. The API server applies the same policy
	// while the webhook is unavailable.
	FailurePolicy admissionregistrationv1.FailurePolicyType `json:"failurePolicy"`
}

// Load reads a file of rules and returns the valid ones. path is "" if there is
// no file. Load logs and counts invalid rules. The webhook does not answer for
// their pods, so the failure policy of such a rule applies to them.
func Load(path string, registry prometheus.Registerer, log *slog.Logger) []Rule {
	count := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "koordinator_rules",
		Help: "Number of rules, by state: valid, or invalid and therefore skipped.",
	}, []string{"state"})
	registry.MustRegister(count)
	var valid []Rule
	var problems []error
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			problems = []error{err}
		} else {
			valid, problems = Parse(text)
		}
	}
	for _, err := range problems {
		log.Error("rule skipped", "file", path, "error", err)
	}
	count.WithLabelValues("valid").Set(float64(len(valid)))
	count.WithLabelValues("invalid").Set(float64(len(problems)))
	return valid
}

// Parse parses rules. It returns the valid ones in their order in the text, and
// one error for each invalid one.
func Parse(text []byte) ([]Rule, []error) {
	var raw []json.RawMessage
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, []error{fmt.Errorf("want a list of rules: %w", err)}
	}
	var valid []Rule
	var problems []error
	names := map[string]bool{}
	for i, text := range raw {
		r := Rule{FailurePolicy: admissionregistrationv1.Ignore}
		err := yaml.UnmarshalStrict(text, &r)
		if err == nil {
			err = r.check(names)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("rule %d, %q, is skipped: %w", i+1, r.Name, err))
			continue
		}
		names[r.Name] = true
		valid = append(valid, r)
	}
	return valid, problems
}

// check reports everything that is wrong with a rule. taken contains the names of
// the valid rules before it.
func (r Rule) check(taken map[string]bool) error {
	var problems []error
	if r.Name == "" {
		problems = append(problems, errors.New("it has no name"))
	}
	if taken[r.Name] {
		problems = append(problems, errors.New("an earlier rule has the same name. Rename one of them"))
	}
	if p := r.FailurePolicy; p != admissionregistrationv1.Ignore && p != admissionregistrationv1.Fail {
		problems = append(problems, fmt.Errorf("failurePolicy %q is unknown. Use Ignore or Fail", p))
	}
	if len(r.Annotations) == 0 {
		problems = append(problems, errors.New("it has no annotations"))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Annotations)) {
		if !strings.HasPrefix(key, inject.Prefix) {
			problems = append(problems, fmt.Errorf("annotation %q is not one of koordinator's. Begin it with %s", key, inject.Prefix))
		}
	}
	_, mistakes := annotations.Read(metav1.ObjectMeta{Annotations: r.Annotations}, nil)
	for _, m := range mistakes {
		problems = append(problems, errors.New(m.String()))
	}
	return errors.Join(problems...)
}

// Missing returns the rule's annotations that a pod does not have itself.
func (r Rule) Missing(pod metav1.ObjectMeta) map[string]string {
	missing := map[string]string{}
	for key, value := range r.Annotations {
		if _, has := pod.Annotations[key]; !has {
			missing[key] = value
		}
	}
	return missing
}
