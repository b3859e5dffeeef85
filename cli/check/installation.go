package check

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Oldest is the oldest Kubernetes version that koordinator supports.
const Oldest = "1.30.0"

// The names of the webhooks in the chart's configurations.
const (
	podsWebhook      = "pods.koordinator.io"
	optInWebhook     = "opted-in-pods.koordinator.io"
	workloadsWebhook = "workloads.koordinator.io"
	rulesSuffix      = ".rules.koordinator.io"
)

// installation holds the objects of an installation. An object is nil if it is missing or
// cannot be read.
type installation struct {
	pods       *admissionregistrationv1.MutatingWebhookConfiguration
	workloads  *admissionregistrationv1.ValidatingWebhookConfiguration
	service    client.ObjectKey // empty if pods is nil
	deployment *appsv1.Deployment
}

// installation checks the installation and returns its objects.
func (c *Checker) installation(ctx context.Context, s *Section) (installation, error) {
	var found installation
	if err := c.kubernetes(s); err != nil {
		return found, err
	}
	if err := c.configurations(ctx, s, &found); err != nil || found.pods == nil {
		return found, err
	}
	if err := c.policies(ctx, s, found); err != nil {
		return found, err
	}
	if err := c.replicas(ctx, s, &found); err != nil || found.deployment == nil {
		return found, err
	}
	return found, c.certificate(ctx, s, found)
}

// kubernetes checks the version of the API server.
func (c *Checker) kubernetes(s *Section) error {
	info, err := c.Version()
	if err != nil {
		return fmt.Errorf("read the version of the API server: %w", err)
	}
	have, err := version.ParseGeneric(info.GitVersion)
	switch {
	case err != nil:
		s.warn(fmt.Sprintf("Kubernetes version %q is unknown", info.GitVersion), "")
	case have.LessThan(version.MustParseGeneric(Oldest)):
		s.bad(fmt.Sprintf("Kubernetes %s is not supported", info.GitVersion), "Upgrade the cluster to "+Oldest+" or later")
	default:
		s.ok("Kubernetes %s is supported", info.GitVersion)
	}
	return nil
}

// configurations finds the webhook configurations.
func (c *Checker) configurations(ctx context.Context, s *Section, found *installation) error {
	var mutating admissionregistrationv1.MutatingWebhookConfigurationList
	if err := c.API.List(ctx, &mutating); err != nil {
		if denied(s, err, "the installation (MutatingWebhookConfigurations)") {
			return nil
		}
		return fmt.Errorf("list MutatingWebhookConfigurations: %w", err)
	}
	var names []string
	for i := range mutating.Items {
		if forPods(&mutating.Items[i]) != nil {
			names = append(names, mutating.Items[i].Name)
			found.pods = &mutating.Items[i]
		}
	}
	switch {
	case len(names) == 0:
		s.bad("koordinator is not installed: no MutatingWebhookConfiguration has the webhook "+podsWebhook,
			"Install the chart. To check whether the cluster meets the requirements: kubectl koordinator check --pre")
		return nil
	case len(names) > 1:
		s.bad("more than one MutatingWebhookConfiguration has the webhook "+podsWebhook+": "+strings.Join(names, ", "), "Delete those that are left over from earlier installations")
	}
	found.judgePods(s)
	var validating admissionregistrationv1.ValidatingWebhookConfigurationList
	if err := c.API.List(ctx, &validating); err != nil {
		if denied(s, err, "the validation of workloads (ValidatingWebhookConfigurations)") {
			return nil
		}
		return fmt.Errorf("list ValidatingWebhookConfigurations: %w", err)
	}
	i := slices.IndexFunc(validating.Items, func(v admissionregistrationv1.ValidatingWebhookConfiguration) bool {
		return slices.ContainsFunc(v.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool { return w.Name == workloadsWebhook })
	})
	if i < 0 {
		s.warn("workloads are not checked when they are applied: no ValidatingWebhookConfiguration has the webhook "+workloadsWebhook,
			"Set workloads.validate: true in the chart's values. Until then, mistakes appear only as events when pods are created")
		return nil
	}
	found.workloads = &validating.Items[i]
	s.ok("ValidatingWebhookConfiguration %s checks workloads when they are applied", found.workloads.Name)
	return nil
}

// forPods returns the webhook of a configuration that the API server calls for annotated
// pods, or nil.
func forPods(c *admissionregistrationv1.MutatingWebhookConfiguration) *admissionregistrationv1.MutatingWebhook {
	for i := range c.Webhooks {
		if c.Webhooks[i].Name == podsWebhook {
			return &c.Webhooks[i]
		}
	}
	return nil
}

// judgePods checks the webhook configuration for pods.
func (found *installation) judgePods(s *Section) {
	w := forPods(found.pods)
	name := "MutatingWebhookConfiguration " + found.pods.Name
	if w.ClientConfig.Service == nil {
		s.warn(name+" calls a URL and not a service, so that the deployment is unknown", "")
		return
	}
	found.service = client.ObjectKey{Namespace: w.ClientConfig.Service.Namespace, Name: w.ClientConfig.Service.Name}
	called := slices.ContainsFunc(w.Rules, func(r admissionregistrationv1.RuleWithOperations) bool {
		return slices.Contains(r.Resources, "pods") && (slices.Contains(r.Operations, admissionregistrationv1.Create) || slices.Contains(r.Operations, admissionregistrationv1.OperationAll))
	})
	if !called {
		s.bad(name+" does not send new pods to the webhook", "Restore the configuration: run helm upgrade with the values of the release")
		return
	}
	s.ok("%s sends pods to service %s", name, found.service)
}

// policies checks whether the API server rejects annotated pods while the webhook is unavailable.
func (c *Checker) policies(ctx context.Context, s *Section, found installation) error {
	w := forPods(found.pods)
	if w.FailurePolicy == nil || *w.FailurePolicy == admissionregistrationv1.Fail {
		s.ok("annotated pods are rejected while the webhook is unavailable")
		return nil
	}
	var policy admissionregistrationv1.ValidatingAdmissionPolicy
	err := c.API.Get(ctx, client.ObjectKey{Name: found.pods.Name + "-refuse-uninjected"}, &policy)
	switch {
	case err == nil:
		return c.binding(ctx, s, policy.Name)
	case apierrors.IsNotFound(err):
		s.warn("while the webhook is unavailable, annotated pods are created without koordinator (failurePolicy: Ignore)",
			"Set webhook.failurePolicy: Fail or policies.refuseUninjected: true in the chart's values")
	case denied(s, err, "ValidatingAdmissionPolicy "+found.pods.Name+"-refuse-uninjected"):
	default:
		return fmt.Errorf("get ValidatingAdmissionPolicy: %w", err)
	}
	return nil
}

// binding checks whether a ValidatingAdmissionPolicy is enforced. Without a binding that
// denies, it has no effect.
func (c *Checker) binding(ctx context.Context, s *Section, policy string) error {
	var all admissionregistrationv1.ValidatingAdmissionPolicyBindingList
	if err := c.API.List(ctx, &all); err != nil {
		if denied(s, err, "whether ValidatingAdmissionPolicy "+policy+" is enforced (ValidatingAdmissionPolicyBindings)") {
			return nil
		}
		return fmt.Errorf("list ValidatingAdmissionPolicyBindings: %w", err)
	}
	if !slices.ContainsFunc(all.Items, func(b admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
		return b.Spec.PolicyName == policy && slices.Contains(b.Spec.ValidationActions, admissionregistrationv1.Deny)
	}) {
		s.bad("ValidatingAdmissionPolicy "+policy+" is not enforced: no ValidatingAdmissionPolicyBinding with the action Deny refers to it",
			"Restore the binding: run helm upgrade with the values of the release")
		return nil
	}
	s.ok("annotated pods are rejected while the webhook is unavailable, by ValidatingAdmissionPolicy %s", policy)
	return nil
}

// replicas checks the deployment.
func (c *Checker) replicas(ctx context.Context, s *Section, found *installation) error {
	if found.service.Name == "" {
		return nil
	}
	var d appsv1.Deployment
	err := c.API.Get(ctx, found.service, &d) // the chart gives both the same name
	switch {
	case apierrors.IsNotFound(err):
		s.bad(fmt.Sprintf("deployment %s does not exist", found.service), "Restore it: run helm upgrade with the values of the release. If koordinator was uninstalled, delete MutatingWebhookConfiguration "+found.pods.Name)
		return nil
	case err != nil && denied(s, err, fmt.Sprintf("deployment %s", found.service)):
		return nil
	case err != nil:
		return fmt.Errorf("get deployment %s: %w", found.service, err)
	}
	found.deployment = &d
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	text := fmt.Sprintf("deployment %s: %d of %d replicas are ready", found.service, d.Status.ReadyReplicas, want)
	switch {
	case d.Status.ReadyReplicas >= want && want > 0:
		s.ok("%s%s", text, versionText(VersionOf(&d)))
	case d.Status.ReadyReplicas > 0:
		s.warn(text+c.trouble(ctx, &d), fmt.Sprintf("See kubectl -n %s describe pod", d.Namespace))
	default:
		s.bad(text+c.trouble(ctx, &d), fmt.Sprintf("See kubectl -n %s describe pod, and kubectl -n %s logs deployment/%s", d.Namespace, d.Namespace, d.Name))
	}
	return nil
}

// VersionOf returns the version of the webhook that a deployment runs, "" if unknown. It is
// the tag of the image, which can differ from the version of the chart, or the latter if
// the image has no tag.
func VersionOf(d *appsv1.Deployment) string {
	if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
		name, _, _ := strings.Cut(path.Base(containers[0].Image), "@")
		if _, tag, tagged := strings.Cut(name, ":"); tagged {
			return tag
		}
	}
	return d.Labels["app.kubernetes.io/version"]
}

func versionText(v string) string {
	if v == "" {
		return ""
	}
	return " (version " + v + ")"
}

// trouble lists the reasons, from the pods' statuses, why pods of a deployment are not ready.
func (c *Checker) trouble(ctx context.Context, d *appsv1.Deployment) string {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return ""
	}
	var pods corev1.PodList
	if err := c.API.List(ctx, &pods, client.InNamespace(d.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return "" // without reasons, the deployment's line is still reported
	}
	var b strings.Builder
	for i := range pods.Items {
		if reason := unready(&pods.Items[i]); reason != "" {
			fmt.Fprintf(&b, "\npod %s: %s", pods.Items[i].Name, reason)
		}
	}
	return b.String()
}

// unready returns the reason why a pod is not ready, "" if it is ready or its status has
// no reason.
func unready(pod *corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		switch {
		case status.State.Waiting != nil && status.State.Waiting.Reason != "ContainerCreating":
			return strings.TrimSuffix(fmt.Sprintf("container %s: %s: %s", status.Name, status.State.Waiting.Reason, status.State.Waiting.Message), ": ")
		case status.State.Terminated != nil:
			return fmt.Sprintf("container %s exited with code %d", status.Name, status.State.Terminated.ExitCode)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return condition.Message
		}
	}
	return ""
}
