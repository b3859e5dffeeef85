// Package workload answers the API server's admission requests for Deployments,
// Jobs and other workloads: it passes the pod that a template describes to a
// check. Mistakes are thus reported to the user who applies the workload, and not
// in an event about a pod that was never created. It changes nothing. A template
// that it does not check is still checked when its pods are created.
package workload

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Check returns the answer for the pod that a template describes: labels,
// annotations and spec are those of the template, and the name is only a prefix.
// root is the path of the template in the workload. The handler adds the workload
// to the details of a rejection.
type Check func(pod *corev1.Pod, root *field.Path) admission.Response

// Paths of templates.
var (
	inSpec    = field.NewPath("spec", "template")
	inCronJob = field.NewPath("spec", "jobTemplate", "spec", "template")
)

// places are the paths of the pod templates, by group and resource.
var places = map[metav1.GroupResource]*field.Path{
	{Group: "", Resource: "replicationcontrollers"}: inSpec,
	{Group: "apps", Resource: "daemonsets"}:         inSpec,
	{Group: "apps", Resource: "deployments"}:        inSpec,
	{Group: "apps", Resource: "replicasets"}:        inSpec,
	{Group: "apps", Resource: "statefulsets"}:       inSpec,
	{Group: "batch", Resource: "cronjobs"}:          inCronJob,
	{Group: "batch", Resource: "jobs"}:              inSpec,
}

// Place returns the path of the pod template in the objects of a resource. known
// is false for a resource that has no template or is unknown.
func Place(resource metav1.GroupResource) (place *field.Path, known bool) {
	place, known = places[resource]
	return place, known
}

// workload contains only the fields that lead to an object's pod template, which
// is not decoded.
type workload struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Template    runtime.RawExtension `json:"template"`
		JobTemplate struct {
			Spec struct {
				Template runtime.RawExtension `json:"template"`
			} `json:"spec"`
		} `json:"jobTemplate"`
	} `json:"spec"`
}

// template returns the pod template as JSON. It is empty if there is none.
func (w *workload) template(place *field.Path) []byte {
	if place == inCronJob {
		return w.Spec.JobTemplate.Spec.Template.Raw
	}
	return w.Spec.Template.Raw
}

// handler answers admission requests for workloads. It writes nothing, so it
// answers a dry run like any other request.
type handler struct{ check Check }

// New returns a handler that calls check for each template that is new or
// changed.
func New(check Check) admission.Handler { return &handler{check} }

// Handle implements admission.Handler. It does not check objects that a
// controller owns, because their owner has been checked, and a rejection would
// only make the controller retry.
func (h *handler) Handle(_ context.Context, req admission.Request) admission.Response {
	place, known := Place(metav1.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource})
	if !known || req.SubResource != "" {
		return admission.Allowed("")
	}
	var now workload
	if err := json.Unmarshal(req.Object.Raw, &now); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode the workload: %w", err))
	}
	if metav1.GetControllerOfNoCopy(&now.Metadata) != nil || len(now.template(place)) == 0 {
		return admission.Allowed("")
	}
	switch req.Operation {
	case admissionv1.Create:
	case admissionv1.Update:
		if !changed(req.OldObject.Raw, now.template(place), place) {
			return admission.Allowed("")
		}
	default:
		return admission.Allowed("")
	}
	pod, err := Pod(now.Metadata, now.template(place))
	if err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode %s: %w", place, err))
	}
	answer := h.check(pod, place)
	if r := answer.Result; r != nil && r.Details != nil {
		r.Details.Kind, r.Details.Name = req.Kind.Kind, now.Metadata.Name+now.Metadata.GenerateName
	}
	return answer
}

// changed reports whether a template differs from that of the previous object in
// more than its notation. A template that cannot be decoded counts as changed.
func changed(before, template []byte, place *field.Path) bool {
	var old workload
	if err := json.Unmarshal(before, &old); err != nil {
		return true
	}
	if bytes.Equal(old.template(place), template) {
		return false
	}
	var a, b any
	if json.Unmarshal(old.template(place), &a) != nil || json.Unmarshal(template, &b) != nil {
		return true
	}
	return !reflect.DeepEqual(a, b)
}
