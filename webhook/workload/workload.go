// Package workload turns the API server's question about a Deployment, a Job or the
// like into the pod that its template describes, and what a check says of that pod
// into the answer. So mistakes are reported to the person who applies the workload,
// and not in an event of a pod that was never created. It changes nothing, and a
// template that it does not check is still checked when its pods are created.
package workload

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Check answers for a pod as a template describes it: labels, annotations and
// spec are the template's, the name is only the beginning of one. Place is the
// template's path in the workload, as "spec.template", and belongs before
// everything that is said. Details of a refusal are told which workload it is.
type Check func(pod *corev1.Pod, place string) admission.Response

// Paths of templates.
const (
	inSpec    = "spec.template"
	inCronJob = "spec.jobTemplate.spec.template"
)

// places are the paths of the pod templates, by group and resource.
var places = map[metav1.GroupResource]string{
	{Group: "", Resource: "replicationcontrollers"}: inSpec,
	{Group: "apps", Resource: "daemonsets"}:         inSpec,
	{Group: "apps", Resource: "deployments"}:        inSpec,
	{Group: "apps", Resource: "replicasets"}:        inSpec,
	{Group: "apps", Resource: "statefulsets"}:       inSpec,
	{Group: "batch", Resource: "cronjobs"}:          inCronJob,
	{Group: "batch", Resource: "jobs"}:              inSpec,
}

// workload is as much of an object as leads to its pod template, which stays
// raw.
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

// template is the pod template, as JSON, empty where there is none.
func (w *workload) template(place string) []byte {
	if place == inCronJob {
		return w.Spec.JobTemplate.Spec.Template.Raw
	}
	return w.Spec.Template.Raw
}

// handler answers the API server's question whether a workload is right. It
// writes nothing, so a dry run is answered like any other.
type handler struct{ check Check }

// New is a handler that asks check about each template that is new or changed.
func New(check Check) admission.Handler { return &handler{check} }

// Handle implements admission.Handler. What a controller owns is left to the
// check of its owner: refusing it would only make the controller try again.
func (h *handler) Handle(_ context.Context, req admission.Request) admission.Response {
	place, known := places[metav1.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource}]
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
	pod, err := podOf(&now, place)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decode %s: %w", place, err))
	}
	answer := h.check(pod, place)
	if r := answer.Result; r != nil && r.Details != nil {
		r.Details.Kind, r.Details.Name = req.Kind.Kind, now.Metadata.Name+now.Metadata.GenerateName
	}
	return answer
}

// changed reports whether a template differs in anything but the way it is
// written from that of the object before. One that cannot be read differs.
func changed(before, template []byte, place string) bool {
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

// podOf is the pod that the template describes, with the beginning of a name
// that most controllers give.
func podOf(w *workload, place string) (*corev1.Pod, error) {
	var t corev1.PodTemplateSpec
	if err := json.Unmarshal(w.template(place), &t); err != nil {
		return nil, err
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Metadata.Namespace, GenerateName: cmp.Or(w.Metadata.Name, w.Metadata.GenerateName) + "-",
			Labels: t.Labels, Annotations: t.Annotations,
		},
		Spec: t.Spec,
	}, nil
}
