// Package rules selects the rules of an installation that apply to the pods of manifests.
// In a cluster, the API server selects them with the webhook configuration that the chart
// renders for each rule. It needs no cluster.
package rules

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/rbac"
	"koordinator.io/koordinator/webhook/rules"
)

// Rule is an element of the chart value rules.
type Rule struct {
	rules.Rule

	Namespaces        []string              `json:"namespaces"`
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
	PodSelector       *metav1.LabelSelector `json:"podSelector"`
	Containers        []string              `json:"containers"` // containers that the pod must have
	OwnerKinds        []string              `json:"ownerKinds"` // Kind or Kind.group, one of which the pod's controller must have

	installed settings
}

// settings are the chart values webhook that limit all rules of an installation.
type settings struct {
	NamespaceSelector  *metav1.LabelSelector `json:"namespaceSelector"` // the enabled namespaces; nil or empty: those with koordinator's label
	ObjectSelector     *metav1.LabelSelector `json:"objectSelector"`
	ExcludedNamespaces []string              `json:"excludedNamespaces"`
}

// Load reads the rules of a file: the chart's values, or the value rules alone. The error
// lists all mistakes in them.
func Load(path string) ([]Rule, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var values struct {
		Rules   json.RawMessage `json:"rules"`
		Webhook settings        `json:"webhook"`
	}
	list := text
	var other any
	if err := yaml.Unmarshal(text, &other); err != nil {
		return nil, fmt.Errorf("%s: want the chart's values, or a list of rules: %w", path, err)
	}
	if _, isList := other.([]any); !isList {
		if err := yaml.Unmarshal(text, &values); err != nil {
			return nil, fmt.Errorf("%s: want the chart's values, or a list of rules: %w", path, err)
		}
		list = values.Rules
	}
	var all []Rule
	switch err := yaml.UnmarshalStrict(list, &all); {
	case err != nil:
		return nil, fmt.Errorf("%s: want the chart's values, or a list of rules: %w", path, err)
	case len(all) == 0:
		return nil, fmt.Errorf("%s: there are no rules in it", path)
	}
	for i := range all {
		all[i].installed = values.Webhook
	}
	return all, check(path, all)
}

// check returns everything that the webhook or the API server would reject in rules, and
// sets the failure policy where it is missing.
func check(path string, all []Rule) error {
	read := make([]rules.Rule, len(all))
	for i := range all {
		all[i].FailurePolicy = cmp.Or(all[i].FailurePolicy, admissionregistrationv1.Ignore)
		read[i] = all[i].Rule
	}
	text, err := yaml.Marshal(read)
	if err != nil {
		return err
	}
	_, problems := rules.Parse(text)
	problem := func(place string, selector *metav1.LabelSelector) {
		if _, err := metav1.LabelSelectorAsSelector(selector); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", place, err))
		}
	}
	problem("webhook.namespaceSelector", all[0].installed.NamespaceSelector)
	problem("webhook.objectSelector", all[0].installed.ObjectSelector)
	for _, r := range all {
		problem(fmt.Sprintf("rule %q: namespaceSelector", r.Name), r.NamespaceSelector)
		problem(fmt.Sprintf("rule %q: podSelector", r.Name), r.PodSelector)
	}
	for i, err := range problems {
		problems[i] = fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(problems...)
}

// Namespaces holds the labels of the known namespaces, by name.
type Namespaces map[string]map[string]string

// Select returns the rules that apply to a pod of an object, in their order. An unknown
// namespace counts as enabled, and has no label except its name.
func Select(all []Rule, o input.Object, p input.Pod, known Namespaces) []Rule {
	_, mirror := p.Pod.Annotations[corev1.MirrorPodAnnotationKey]
	if mirror || annotations.Disabled(p.Pod.ObjectMeta) {
		return nil
	}
	name := cmp.Or(o.Object.GetNamespace(), metav1.NamespaceDefault)
	given, isKnown := known[name]
	of := labels.Merge(labels.Set{corev1.LabelMetadataName: name}, given)
	var selected []Rule
	for _, r := range all {
		namespace := !r.installed.excludes(name) && (!isKnown || r.installed.enables(of)) && r.selectsNamespace(name, of)
		pod := selects(r.installed.ObjectSelector, p.Pod.Labels) && selects(r.PodSelector, p.Pod.Labels) && r.selectsContainers(p.Pod)
		if namespace && pod && r.selectsOwner(o, p) {
			selected = append(selected, r)
		}
	}
	return selected
}

// Candidate is a pod with the annotations that a rule adds, or the pod itself.
type Candidate struct {
	Rule *Rule // nil: the pod itself
	Pod  *corev1.Pod
}

// Optional reports whether the pod is created without the rule's annotations if they do not
// fit it.
func (c Candidate) Optional() bool {
	return c.Rule != nil && c.Rule.FailurePolicy == admissionregistrationv1.Ignore
}

// Skipped returns the sentence for a candidate that does not fit, before the reason.
func (c Candidate) Skipped() string {
	return fmt.Sprintf("rule %q does not fit this pod and is not applied:", c.Rule.Name)
}

// Candidates returns the pods of which the first one that fits is created: the pod with the
// annotations that the first rule adds, if any, and the pod itself.
func Candidates(all []Rule, o input.Object, p input.Pod, known Namespaces) []Candidate {
	var list []Candidate
	if selected := Select(all, o, p, known); len(selected) > 0 {
		if missing := selected[0].Missing(p.Pod.ObjectMeta); len(missing) > 0 {
			pod := p.Pod.DeepCopy()
			if pod.Annotations == nil {
				pod.Annotations = map[string]string{}
			}
			maps.Copy(pod.Annotations, missing)
			list = append(list, Candidate{&selected[0], pod})
		}
	}
	return append(list, Candidate{nil, p.Pod})
}

// excludes reports whether koordinator never processes a namespace. The release's own
// namespace is not known here.
func (s settings) excludes(name string) bool {
	return name == metav1.NamespaceSystem || name == corev1.NamespaceNodeLease || slices.Contains(s.ExcludedNamespaces, name)
}

// enables reports whether a namespace with these labels is enabled.
func (s settings) enables(of labels.Set) bool {
	if n := s.NamespaceSelector; n == nil || len(n.MatchLabels)+len(n.MatchExpressions) == 0 {
		return of[rbac.EnabledLabel] == "enabled"
	}
	return selects(s.NamespaceSelector, of)
}

func (r Rule) selectsNamespace(name string, of labels.Set) bool {
	return (len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, name)) && selects(r.NamespaceSelector, of)
}

// selects reports whether a label selector matches labels. A nil selector matches all.
func selects(selector *metav1.LabelSelector, of labels.Set) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(of)
}

// selectsContainers reports whether the pod has all containers that the rule names.
func (r Rule) selectsContainers(pod *corev1.Pod) bool {
	for _, name := range r.Containers {
		if !slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool { return c.Name == name }) {
			return false
		}
	}
	return true
}

// selectsOwner reports whether the pod's controller will have a kind that the rule names.
func (r Rule) selectsOwner(o input.Object, p input.Pod) bool {
	if len(r.OwnerKinds) == 0 {
		return true
	}
	owner, owned := controller(o, p)
	return owned && (slices.Contains(r.OwnerKinds, owner.Kind) || slices.Contains(r.OwnerKinds, owner.String()))
}

// controller returns the kind of the object that creates the pod. For a pod without a
// template, it returns the kind of the pod's owner.
func controller(o input.Object, p input.Pod) (kind schema.GroupKind, owned bool) {
	version, name := o.Object.GetAPIVersion(), o.Object.GetKind()
	if p.Place == "" {
		owner := metav1.GetControllerOfNoCopy(p.Pod)
		if owner == nil {
			return kind, false
		}
		version, name = owner.APIVersion, owner.Kind
	}
	group, _, _ := strings.Cut(version, "/") // as in the chart's expression: "v1" for the core group
	kind = schema.GroupKind{Group: group, Kind: name}
	if p.Place == "" {
		return kind, true
	}
	switch kind {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}:
		kind.Kind = "ReplicaSet"
	case schema.GroupKind{Group: "batch", Kind: "CronJob"}:
		kind.Kind = "Job"
	}
	return kind, true
}
