package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
	"koordinator.io/koordinator/wrapper/spec"
)

// enabled describes which pods of a namespace an installation injects.
type enabled struct {
	pods  bool     // annotated pods are injected
	optIn bool     // only pods with the label are injected
	rules []string // the rules that apply to its pods
}

// enables returns which pods of a namespace the installation injects. If the webhook's
// configuration cannot be read, the namespace's label decides.
func (found installation) enables(ns *corev1.Namespace) enabled {
	if found.pods == nil {
		return enabled{pods: ns.Labels[rbac.EnabledLabel] == "enabled"}
	}
	var e enabled
	for i := range found.pods.Webhooks {
		w := &found.pods.Webhooks[i]
		if !selects(w.NamespaceSelector, ns.Labels) {
			continue
		}
		rule, isRule := strings.CutSuffix(w.Name, rulesSuffix)
		switch {
		case w.Name == podsWebhook:
			e.pods = true
		case w.Name == optInWebhook:
			e.optIn = true
		case isRule:
			e.rules = append(e.rules, rule)
		}
	}
	return e
}

// enable returns what enables a namespace: a label, unless the installation selects
// namespaces by others.
func (found installation) enable(name string) string {
	if found.pods != nil {
		selector := forPods(found.pods).NamespaceSelector
		if !selects(selector, map[string]string{rbac.EnabledLabel: "enabled", corev1.LabelMetadataName: name}) {
			return "add labels to the namespace that match " + metav1.FormatLabelSelector(selector)
		}
	}
	return fmt.Sprintf("kubectl label namespace %s %s=enabled", name, rbac.EnabledLabel)
}

// selects reports whether a webhook's selector matches labels. A nil selector matches all.
func selects(selector *metav1.LabelSelector, of map[string]string) bool {
	if selector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && s.Matches(labels.Set(of))
}

// namespace checks whether a namespace is enabled, and whether its pods are injected.
func (c *Checker) namespace(ctx context.Context, s *Section, found installation, q Question) error {
	var ns corev1.Namespace
	err := c.API.Get(ctx, client.ObjectKey{Name: q.Namespace}, &ns)
	switch {
	case apierrors.IsNotFound(err):
		s.bad(fmt.Sprintf("namespace %q does not exist", q.Namespace), "")
		return nil
	case err != nil && denied(s, err, "whether the namespace is enabled"):
		return nil
	case err != nil:
		return fmt.Errorf("get namespace %s: %w", q.Namespace, err)
	}
	e := found.enables(&ns)
	note := s.warn
	if q.Named {
		note = s.bad
	}
	switch {
	case e.pods:
		s.ok("the namespace is enabled")
	case e.optIn:
		s.ok("the namespace is not enabled; pods with the label %s=enabled are injected", rbac.EnabledLabel)
	case ns.Labels[rbac.EnabledLabel] == "enabled":
		note("the namespace has the label "+rbac.EnabledLabel+"=enabled, but the installation excludes it or selects other namespaces", "Ask the administrators of koordinator: webhook.excludedNamespaces and webhook.namespaceSelector in the chart's values")
	default:
		note("the namespace is not enabled: koordinator ignores annotations in it", "To enable it: "+found.enable(ns.Name))
	}
	if len(e.rules) > 0 {
		s.ok("rules for pods in it: %s", strings.Join(e.rules, ", "))
	}
	if e.pods && found.pods != nil {
		c.attempt(ctx, s, found, ns.Name)
	}
	return c.population(ctx, s, ns.Name)
}

// shown is the largest number of pods that are listed by name.
const shown = 5

// population counts the pods of a namespace, and lists those that are not injected.
func (c *Checker) population(ctx context.Context, s *Section, namespace string) error {
	var pods corev1.PodList
	if err := c.API.List(ctx, &pods, client.InNamespace(namespace)); err != nil {
		if denied(s, err, "whether its pods are injected") {
			return nil
		}
		return fmt.Errorf("list pods: %w", err)
	}
	injected, missed := 0, []string{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		switch {
		case pod.Labels[inject.InjectedLabel] == "true":
			injected++
		case annotations.Present(pod.ObjectMeta) && !annotations.Disabled(pod.ObjectMeta) && pod.Annotations[inject.StatusAnnotation] == "":
			missed = append(missed, pod.Name)
		}
	}
	if injected > 0 {
		s.ok("injected: %s", plural(injected, "pod"))
	}
	if n := len(missed); n > 0 {
		names := strings.Join(missed[:min(n, shown)], ", ")
		if n > shown {
			names += ", …"
		}
		s.warn(fmt.Sprintf("not injected, although annotated: %s (%s)", plural(n, "pod"), names), "For the reason: kubectl koordinator check pod/"+missed[0]+" -n "+namespace)
	}
	return nil
}

// attempt sends a pod to the API server as a dry run, and checks that the returned pod is injected.
func (c *Checker) attempt(ctx context.Context, s *Section, found installation, namespace string) {
	pod := sample(namespace)
	if !selects(forPods(found.pods).ObjectSelector, pod.Labels) {
		s.ok("only pods with certain labels are injected (webhook.objectSelector)")
		return
	}
	err := c.API.Create(ctx, pod, client.DryRunAll)
	switch {
	case err == nil && wrapped(pod):
		s.ok("a pod that is created in the namespace is injected (dry run)")
	case err == nil:
		s.bad("a pod that is created in the namespace is not injected (dry run)", "Restore the webhook configuration: run helm upgrade with the values of the release")
	case strings.Contains(err.Error(), "koordinator.io"):
		s.bad("a pod cannot be created in the namespace (dry run): "+err.Error(), "If the webhook cannot be reached, check network policies and firewalls between the API server and the service")
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot create resource"): // a user with read permissions does not need this check
	default:
		s.warn("not checked: whether a new pod is injected, because the cluster rejects the pod that would show it: "+err.Error(), "")
	}
}

// wrapped reports whether a container of a pod has a spec.
func wrapped(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == spec.Env })
	})
}

// sample returns a pod that must be injected and that Pod Security restricted admits.
func sample(namespace string) *corev1.Pod {
	container := func(name string) corev1.Container {
		return corev1.Container{
			Name: name, Image: "koordinator-check", Command: []string{"true"},
			SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: new(bool), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "koordinator-check-", Namespace: namespace, Annotations: map[string]string{inject.Prefix + "start-deps": "main: proxy=started"}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{container("main"), container("proxy")},
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(65532)), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
		},
	}
}
