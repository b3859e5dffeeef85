package workload

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// look sends a request to the handler and returns the arguments of the check as
// "PLACE NAMESPACE/NAME ANNOTATION CONTAINER", or "" if the check was not called.
func look(t *testing.T, req admissionv1.AdmissionRequest) (string, admission.Response) {
	t.Helper()
	asked := ""
	h := New(func(pod *corev1.Pod, root *field.Path) admission.Response {
		asked += root.String() + " " + pod.Namespace + "/" + pod.GenerateName + " " + pod.Annotations["a"] + " " + pod.Spec.Containers[0].Name
		return admission.Denied("no").WithWarnings("hm")
	})
	return asked, h.Handle(context.Background(), admission.Request{AdmissionRequest: req})
}

// resource parses a name such as "apps/deployments".
func resource(name string) metav1.GroupVersionResource {
	group, resource, _ := strings.Cut(name, "/")
	return metav1.GroupVersionResource{Group: group, Version: "v1", Resource: resource}
}

const (
	templateText = `{"metadata":{"annotations":{"a":"x"}},"spec":{"containers":[{"name":"main","new":{"field":1}}]}}`
	deployment   = `{"metadata":{"name":"web","namespace":"shop","resourceVersion":"1"},"spec":{"replicas":1,"template":` + templateText + `}}`
	cronJob      = `{"metadata":{"name":"web","namespace":"shop"},"spec":{"jobTemplate":{"spec":{"template":` + templateText + `}}}}`
)

func TestEveryKindsTemplateIsChecked(t *testing.T) {
	for name, object := range map[string]string{
		"/replicationcontrollers": deployment, "apps/daemonsets": deployment, "apps/deployments": deployment, "apps/replicasets": deployment,
		"apps/statefulsets": deployment, "batch/jobs": deployment, "batch/cronjobs": cronJob,
	} {
		t.Run(name, func(t *testing.T) {
			want := "spec.template shop/web- x main"
			if object == cronJob {
				want = "spec.jobTemplate." + want
			}
			have, resp := look(t, admissionv1.AdmissionRequest{
				Operation: admissionv1.Create, Resource: resource(name), Object: runtime.RawExtension{Raw: []byte(object)},
			})
			if have != want {
				t.Errorf("asked %q, want %q", have, want)
			}
			if resp.Allowed || !cmp.Equal(resp.Warnings, []string{"hm"}) {
				t.Errorf("the check's answer is not passed on: %+v", resp)
			}
		})
	}
}

func TestOnlyNewAndChangedTemplatesAreChecked(t *testing.T) {
	change := func(object, from, to string) string {
		if !strings.Contains(object, from) {
			t.Fatalf("%s has no %s", object, from)
		}
		return strings.Replace(object, from, to, 1)
	}
	owned := func(controller string) string {
		return change(deployment, `"name":"web"`, `"name":"web","ownerReferences":[{"apiVersion":"v1","kind":"X","name":"x","uid":"1"`+controller+`}]`)
	}
	for _, tt := range []struct {
		name      string
		operation admissionv1.Operation
		object    string
		old       string // "" for a creation
		other     func(r *admissionv1.AdmissionRequest)
		want      bool
	}{
		{name: "a new one", operation: admissionv1.Create, object: deployment, want: true},
		{name: "a new one that another object owns", operation: admissionv1.Create, object: owned(``), want: true},
		{name: "a new one that a controller owns", operation: admissionv1.Create, object: owned(`,"controller":true`)},
		{name: "an annotation of the template", operation: admissionv1.Update, object: change(deployment, `"x"`, `"y"`), old: deployment, want: true},
		{name: "a field nobody here knows", operation: admissionv1.Update, object: change(deployment, `"field":1`, `"field":2`), old: deployment, want: true},
		{name: "a changed one that a controller owns", operation: admissionv1.Update, object: owned(`,"controller":true`), old: change(deployment, `"x"`, `"y"`)},
		{name: "the template of a CronJob", operation: admissionv1.Update, object: change(cronJob, `"x"`, `"y"`), old: cronJob, other: func(r *admissionv1.AdmissionRequest) {
			r.Resource = resource("batch/cronjobs")
		}, want: true},
		{name: "an old one that cannot be read", operation: admissionv1.Update, object: deployment, old: `{`, want: true},
		{name: "metadata", operation: admissionv1.Update, object: change(deployment, `"resourceVersion":"1"`, `"labels":{"a":"b"}`), old: deployment},
		{name: "the number of replicas", operation: admissionv1.Update, object: change(deployment, `"replicas":1`, `"replicas":5`), old: deployment},
		{name: "the order of the keys", operation: admissionv1.Update, object: change(deployment, `"name":"main","new":{"field":1}`, `"new": {"field":1}, "name":"main"`), old: deployment},
		{name: "a deletion", operation: admissionv1.Delete, object: deployment},
		{name: "a subresource", operation: admissionv1.Update, object: deployment, old: `{}`, other: func(r *admissionv1.AdmissionRequest) { r.SubResource = "scale" }},
		{name: "another resource", operation: admissionv1.Create, object: deployment, other: func(r *admissionv1.AdmissionRequest) {
			r.Resource = resource("apps/controllerrevisions")
		}},
		{name: "one without a template", operation: admissionv1.Create, object: `{"metadata":{"name":"web"},"spec":{}}`, other: func(r *admissionv1.AdmissionRequest) {
			r.Resource = resource("/replicationcontrollers")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := admissionv1.AdmissionRequest{
				Operation: tt.operation, Resource: resource("apps/deployments"),
				Object: runtime.RawExtension{Raw: []byte(tt.object)}, OldObject: runtime.RawExtension{Raw: []byte(tt.old)},
			}
			if tt.other != nil {
				tt.other(&req)
			}
			asked, resp := look(t, req)
			if (asked != "") != tt.want || resp.Allowed == tt.want {
				t.Errorf("asked %q, allowed %v, want it checked: %v", asked, resp.Allowed, tt.want)
			}
		})
	}
}

func TestWhatCannotBeReadIsNotChecked(t *testing.T) {
	for _, object := range []string{`{`, `{"spec":{"template":{"spec":[]}}}`} {
		asked, resp := look(t, admissionv1.AdmissionRequest{
			Operation: admissionv1.Create, Resource: resource("apps/deployments"), Object: runtime.RawExtension{Raw: []byte(object)},
		})
		if asked != "" || resp.Allowed || resp.Result.Code != 400 {
			t.Errorf("%s: asked %q, answer %+v, want 400", object, asked, resp)
		}
	}
}
