package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	pathpkg "path"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"koordinator.io/koordinator/wrapper/spec"
)

// object is an object decoded from YAML.
type object map[string]any

// meta returns a text field of the object's metadata.
func (o object) meta(field string) string {
	metadata, _ := o["metadata"].(map[string]any)
	text, _ := metadata[field].(string)
	return text
}

// labels returns the object's labels.
func (o object) labels() labels.Set {
	set := labels.Set{}
	metadata, _ := o["metadata"].(map[string]any)
	all, _ := metadata["labels"].(map[string]any)
	for key, value := range all {
		set[key] = fmt.Sprint(value)
	}
	return set
}

// resources lists the resources that the stories' API server serves, by group and version.
var resources = map[string][]metav1.APIResource{
	"v1": {
		{Name: "pods", Kind: "Pod", Namespaced: true},
		{Name: "events", Kind: "Event", Namespaced: true},
		{Name: "secrets", Kind: "Secret", Namespaced: true},
		{Name: "namespaces", Kind: "Namespace"},
	},
	"apps/v1": {{Name: "deployments", Kind: "Deployment", Namespaced: true}},
	"admissionregistration.k8s.io/v1": {
		{Name: "mutatingwebhookconfigurations", Kind: "MutatingWebhookConfiguration"},
		{Name: "validatingwebhookconfigurations", Kind: "ValidatingWebhookConfiguration"},
		{Name: "validatingadmissionpolicies", Kind: "ValidatingAdmissionPolicy"},
	},
	"authorization.k8s.io/v1": {{Name: "selfsubjectaccessreviews", Kind: "SelfSubjectAccessReview"}},
}

// apiserver starts an API server that has the objects of a directory, and writes its
// kubeconfig. Every user may read and create everything.
func apiserver(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: apiserver DIRECTORY")
	}
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.yaml"))
	ts.Check(err)
	objects := map[string][]object{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		ts.Check(err)
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var o object
			ts.Check(yaml.Unmarshal([]byte(document), &o))
			kind := fmt.Sprint(o["apiVersion"], "/", o["kind"])
			objects[kind] = append(objects[kind], o)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, objects) }))
	ts.Defer(server.Close)
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}],
  clusters: [{name: c, cluster: {server: "%s"}}], users: [{name: u, user: {}}]}`, server.URL)
	ts.Check(os.WriteFile(ts.Getenv("KUBECONFIG"), []byte(config), 0o600))
}

// answer answers one request.
func answer(w http.ResponseWriter, r *http.Request, objects map[string][]object) {
	w.Header().Set("Content-Type", "application/json")
	write := func(value any) {
		if err := json.NewEncoder(w).Encode(value); err != nil {
			panic(err) // the client is gone; net/http closes the connection
		}
	}
	path := strings.Trim(r.URL.Path, "/")
	switch path {
	case "version":
		write(version.Info{Major: "1", Minor: "36", GitVersion: "v1.36.1"})
		return
	case "api":
		write(metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}})
		return
	case "apis":
		write(groups())
		return
	}
	for groupVersion, list := range resources {
		prefix := "apis/" + groupVersion
		if groupVersion == "v1" {
			prefix = "api/v1"
		}
		switch path {
		case pathpkg.Dir(prefix):
			write(groupOf(groupVersion))
			return
		case prefix:
			write(metav1.APIResourceList{GroupVersion: groupVersion, APIResources: list})
			return
		}
		for _, resource := range list {
			if rest, found := strings.CutPrefix(path, prefix+"/"); found && serves(r, resource, groupVersion, rest, objects, write) {
				return
			}
		}
	}
	w.WriteHeader(http.StatusNotFound)
	write(metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound, Message: r.URL.Path + " is not there"})
}

// groups returns the groups of the resources, without the core group, which has no name.
func groups() metav1.APIGroupList {
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList"}}
	for groupVersion := range resources {
		if groupVersion != "v1" {
			list.Groups = append(list.Groups, groupOf(groupVersion))
		}
	}
	return list
}

// groupOf returns the group of a version.
func groupOf(groupVersion string) metav1.APIGroup {
	group, v, _ := strings.Cut(groupVersion, "/")
	one := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: v}
	return metav1.APIGroup{TypeMeta: metav1.TypeMeta{Kind: "APIGroup"}, Name: group, Versions: []metav1.GroupVersionForDiscovery{one}, PreferredVersion: one}
}

// serves answers a request for objects of a resource, and reports whether the request was one.
func serves(r *http.Request, resource metav1.APIResource, groupVersion, path string, objects map[string][]object, write func(any)) bool {
	namespace := ""
	if rest, found := strings.CutPrefix(path, "namespaces/"); found && resource.Namespaced {
		namespace, path, _ = strings.Cut(rest, "/")
	}
	name, rest, _ := strings.Cut(path, "/")
	if name != resource.Name || strings.Contains(rest, "/") {
		return false
	}
	if r.Method == http.MethodPost {
		write(created(r))
		return true
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		panic(err) // a client error
	}
	items := []object{}
	for _, o := range objects[groupVersion+"/"+resource.Kind] {
		if namespace != "" && o.meta("namespace") != namespace || !selector.Matches(o.labels()) {
			continue
		}
		if rest == o.meta("name") {
			write(o)
			return true
		}
		items = append(items, o)
	}
	if rest != "" {
		return false
	}
	write(object{"apiVersion": groupVersion, "kind": resource.Kind + "List", "metadata": object{"resourceVersion": "1"}, "items": items})
	return true
}

// created returns an object as it is after its creation: a pod is injected, and an access
// review is answered.
func created(r *http.Request) runtime.Object {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err) // the client is gone
	}
	o, kind, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		panic(err) // the client always sends objects
	}
	switch o := o.(type) {
	case *corev1.Pod:
		o.Spec.Containers[0].Env = []corev1.EnvVar{{Name: spec.Env, Value: "{}"}}
	case *authorizationv1.SelfSubjectAccessReview:
		o.Status.Allowed = true
	}
	o.GetObjectKind().SetGroupVersionKind(*kind)
	return o
}
