// Package input finds the pods in the objects of Kubernetes manifests. It needs no cluster.
package input

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Options selects manifests, and the pod templates in them.
type Options struct {
	Files     []string // files, directories, URLs, "-" for stdin
	Recursive bool     // also read subdirectories
	Kustomize string   // directory with a kustomization, "" for none

	// Templates lists the paths of pod templates in objects of kinds that the webhook does
	// not know, for example "spec.worker.template". "[*]" after a field selects every
	// element of its list. Without any paths, templates are recognized by their form.
	Templates []string
}

// Object is one object of a manifest.
type Object struct {
	Source string // the file or URL of the manifest, "STDIN", or the kustomization's directory
	Object *unstructured.Unstructured
	Pods   []Pod // pods that the object describes; none for a Service
}

// Pod is a pod that an object is or describes.
type Pod struct {
	Path  []any  // path of its template in the object: fields (string) and indexes (int); empty if the object is the pod
	Place string // the path in the API server's notation
	Raw   []byte // the pod as JSON, including fields that the Go type lacks
	Pod   *corev1.Pod
}

// Name returns the object's name in kubectl's notation: "deployment/web". For an object
// without a name, it uses generateName.
func (o Object) Name() string {
	name := o.Object.GetName()
	if name == "" {
		name = o.Object.GetGenerateName()
	}
	return strings.ToLower(o.Object.GetKind()) + "/" + name
}

// Describe finds the pods of an object that was read from a source. templates has the
// meaning of Options.Templates.
func Describe(source string, u *unstructured.Unstructured, templates []string) (Object, error) {
	object := Object{Source: source, Object: u}
	var err error
	if object.Pods, err = pods(u, templates); err != nil {
		return object, fmt.Errorf("read %s: %s: %w", source, object.Name(), err)
	}
	return object, nil
}
