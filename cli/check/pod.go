package check

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/annotations"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
)

// pod checks whether a pod is injected, and finds the reason if it is not.
func (c *Checker) pod(ctx context.Context, s *Section, found installation, pod *corev1.Pod) error {
	status := inject.StatusOf(pod)
	if len(status.Wrapped) > 0 && wrappedAny(pod) {
		text := "injected: " + strings.Join(status.Wrapped, ", ")
		if status.Rule != "" {
			text += ", by rule " + status.Rule
		}
		s.ok("%s%s", text, versionText(status.Version))
		return nil
	}
	if wrappedAny(pod) {
		s.ok("injected, without the webhook")
		return nil
	}
	if pod.Annotations[inject.StatusAnnotation] != "" {
		leftAlone(s, status)
		return nil
	}
	if excused(s, pod) {
		return nil
	}
	var ns corev1.Namespace
	if err := c.API.Get(ctx, client.ObjectKey{Name: pod.Namespace}, &ns); err != nil {
		if denied(s, err, "whether the namespace is enabled") {
			return nil
		}
		return fmt.Errorf("get namespace %s: %w", pod.Namespace, err)
	}
	overlooked(s, found, pod, &ns)
	return nil
}

// wrappedAny reports whether any container of a pod has a spec.
func wrappedAny(pod *corev1.Pod) bool {
	return wrapped(pod) || wrapped(&corev1.Pod{Spec: corev1.PodSpec{Containers: pod.Spec.InitContainers}})
}

// leftAlone explains the status annotation of a pod that the webhook has processed and
// not changed.
func leftAlone(s *Section, status inject.Status) {
	switch {
	case status.Skipped:
		s.bad("not injected: the command of a container could not be looked up, and the installation then leaves the pod alone (onLookupError)", "Set command: in the container, or the annotation koordinator.io/command, and create the pod again")
	case status.Reason == "nothing_to_wrap":
		s.ok("processed by the webhook; none of its containers has to be wrapped")
	case status.Reason == "inject_false":
		s.ok(`not injected: the annotation koordinator.io/inject is "false"`)
	case status.Reason == "windows":
		s.ok("not injected: koordinator does not support Windows pods")
	case status.Reason == "rule_unfit":
		s.warn(fmt.Sprintf("not injected: the annotations of rule %q do not fit this pod", status.Rule), "Correct the rule in the chart value rules, or change its selectors")
	default:
		s.warn(fmt.Sprintf("processed by the webhook, which did not change it (%s)", status.Reason), "")
	}
}

// excused reports whether the pod itself has a reason not to be injected, and notes the reason.
func excused(s *Section, pod *corev1.Pod) bool {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	switch {
	case annotations.Disabled(pod.ObjectMeta):
		s.ok(`not injected: the annotation koordinator.io/inject is "false"`)
	case mirror:
		s.warn("not injected: koordinator cannot change a static pod, which the kubelet has started already", "Run it as a regular pod, or call the wrapper in its manifest")
	case !annotations.Present(pod.ObjectMeta):
		s.bad("not injected: the pod has no koordinator annotation",
			"In a workload, annotations belong on the pod template (spec.template.metadata.annotations). To find mistakes in a manifest: kubectl koordinator lint -f FILE")
	default:
		return false
	}
	return true
}

// overlooked explains why an annotated pod did not reach the webhook.
func overlooked(s *Section, found installation, pod *corev1.Pod, ns *corev1.Namespace) {
	e := found.enables(ns)
	again := "Delete the pod, so that its controller creates it again"
	if metav1.GetControllerOfNoCopy(pod) == nil {
		again = "Delete the pod, and create it again"
	}
	var selector *metav1.LabelSelector
	if found.pods != nil {
		selector = forPods(found.pods).ObjectSelector // not nil: configurations has found this webhook in found.pods
	}
	optedIn := e.optIn && pod.Labels[rbac.EnabledLabel] == "enabled"
	switch {
	case !e.pods && e.optIn && !optedIn:
		s.bad(fmt.Sprintf("not injected: neither the namespace nor the pod has the label %s=enabled", rbac.EnabledLabel), "Add the label to the pod template, and create the pod again")
	case !e.pods && !optedIn:
		s.bad(fmt.Sprintf("not injected: namespace %s is not enabled", ns.Name), fmt.Sprintf("To enable it: %s. %s", found.enable(ns.Name), again))
	case !selects(selector, pod.Labels):
		s.bad("not injected: the installation does not select pods with these labels (webhook.objectSelector)", "Change the pod's labels, or ask the administrators of koordinator")
	case found.pods != nil && pod.CreationTimestamp.Before(&found.pods.CreationTimestamp):
		s.bad("not injected: the pod was created before koordinator was installed", again)
	default:
		if labelled := labelledAt(ns); labelled != nil && pod.CreationTimestamp.Before(labelled) {
			s.bad("not injected: the pod was created before the namespace was enabled", again)
			break
		}
		s.bad("not injected: the webhook was not called when the pod was created. It was unavailable (failurePolicy: Ignore), or its configuration was different", again)
	}
}

// labelledAt returns the time at which the label that enables a namespace was last
// written, nil if the API server did not record it.
func labelledAt(ns *corev1.Namespace) *metav1.Time {
	for _, f := range ns.ManagedFields {
		if f.Time != nil && f.FieldsV1 != nil && strings.Contains(f.FieldsV1.GetRawString(), `"f:`+rbac.EnabledLabel+`"`) {
			return f.Time
		}
	}
	return nil
}

// missing reports why a workload has no pod, from the events of its controller.
func (c *Checker) missing(ctx context.Context, s *Section, namespace string, owner Owner) error {
	if owner.Kind == "pod" {
		s.bad("it does not exist", "")
		return nil
	}
	var events corev1.EventList
	if err := c.API.List(ctx, &events, client.InNamespace(namespace)); err != nil {
		if denied(s, err, "why there is no pod (events)") {
			return nil
		}
		return fmt.Errorf("list events: %w", err)
	}
	var last *corev1.Event
	for i := range events.Items {
		e := &events.Items[i]
		if e.Reason == "FailedCreate" && owner.made(e.InvolvedObject) && (last == nil || last.LastTimestamp.Before(&e.LastTimestamp)) {
			last = e
		}
	}
	if last == nil {
		s.bad("it has no pod, and no event gives the reason", fmt.Sprintf("See kubectl%s describe %s %s", in(namespace), owner.Kind, owner.Name))
		return nil
	}
	s.bad("it has no pod: "+last.Message, "Correct the pod template, and apply it again. To check it first: kubectl koordinator lint -f FILE")
	return nil
}

// in returns the option for a namespace, if it is known.
func in(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " -n " + namespace
}

// made reports whether an object is the workload, or an object that the workload's
// controller creates in order to create pods.
func (o Owner) made(object corev1.ObjectReference) bool {
	if strings.EqualFold(object.Kind, o.Kind) {
		return object.Name == o.Name
	}
	between := map[string]string{"deployment": "ReplicaSet", "cronjob": "Job"}
	rest, suffixed := strings.CutPrefix(object.Name, o.Name+"-")
	return object.Kind == between[o.Kind] && suffixed && !strings.Contains(rest, "-")
}
