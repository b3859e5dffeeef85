package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/inject"
)

// Versions holds the versions of koordinator's parts.
type Versions struct {
	Client   string         `json:"client"`
	Webhook  string         `json:"webhook,omitempty"`
	Wrappers map[string]int `json:"wrappers,omitempty"` // number of injected pods, by the version of their wrapper
	Notes    []string       `json:"notes,omitempty"`    // differences, and the parts that could not be read
}

// Versions reads the versions of the webhook, and of the wrappers in the pods of a
// namespace. An empty namespace stands for all.
func (c *Checker) Versions(ctx context.Context, own, namespace string) (Versions, error) {
	v := Versions{Client: own}
	var found installation
	var s Section
	if err := c.configurations(ctx, &s, &found); err != nil {
		return v, err
	}
	if found.pods != nil {
		if err := c.replicas(ctx, &s, &found); err != nil {
			return v, err
		}
	}
	if found.deployment != nil {
		v.Webhook = VersionOf(found.deployment)
	} else {
		for _, l := range s.Lines {
			if l.Level != OK {
				v.Notes = append(v.Notes, "version of the webhook: "+l.Text)
			}
		}
	}
	var pods corev1.PodList
	if err := c.API.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{inject.InjectedLabel: "true"}); err != nil {
		if !denied(&s, err, "") {
			return v, fmt.Errorf("list pods: %w", err)
		}
		v.Notes = append(v.Notes, "versions of wrappers: you are not allowed to list pods")
	}
	v.Wrappers = map[string]int{}
	for i := range pods.Items {
		if of := inject.StatusOf(&pods.Items[i]).Version; of != "" {
			v.Wrappers[of]++
		}
	}
	v.compare()
	return v, nil
}

// compare notes differences between the versions.
func (v *Versions) compare() {
	if v.Webhook != "" && v.Webhook != v.Client {
		v.Notes = append(v.Notes, fmt.Sprintf("the client is %s and the webhook is %s: lint, inject and simulate may differ from what the webhook does. Use the client of the same version", v.Client, v.Webhook))
	}
	older := 0
	for of, pods := range v.Wrappers {
		if v.Webhook != "" && of != v.Webhook {
			older += pods
		}
	}
	if older > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("wrappers in %s have another version than the webhook: a pod keeps the wrapper with which it was created", plural(older, "pod")))
	}
}

// Text returns the versions as text.
func (v Versions) Text() string {
	var b strings.Builder
	if v.Webhook != "" {
		fmt.Fprintf(&b, "webhook: %s\n", v.Webhook)
	}
	var wrappers []string
	for _, of := range slices.Sorted(maps.Keys(v.Wrappers)) {
		wrappers = append(wrappers, fmt.Sprintf("%s (%s)", of, plural(v.Wrappers[of], "pod")))
	}
	if len(wrappers) > 0 {
		fmt.Fprintf(&b, "wrappers: %s\n", strings.Join(wrappers, ", "))
	}
	return b.String()
}
