// Package chart tests the templates of charts/koordinator: what helm makes of
// them, without a cluster.
package chart

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// source is the chart.
const source = "../../charts/koordinator"

// program is helm, of the version that the Makefile pins.
const program = "helm.sh/helm/v4/cmd/helm@v4.3.1"

// helm is the built program. TestMain sets it before the tests run.
var helm string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "helm-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	install := exec.Command("go", "install", program)
	install.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build %s: %v\n%s", program, err, out)
		return 1
	}
	helm = filepath.Join(dir, "helm")
	return m.Run()
}

// helmSays is what helm template prints, or its complaint.
func helmSays(t *testing.T, args ...string) (stdout, complaint string) {
	t.Helper()
	return helmSaysOf(t, "shop", args...)
}

// helmSaysOf is that of a release with another name.
func helmSaysOf(t *testing.T, release string, args ...string) (stdout, complaint string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), helm, append([]string{"template", release, source, "--namespace", "platform"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", errs.String() + err.Error()
	}
	return out.String(), ""
}

// objects are what a release consists of, by kind and name.
type objects map[string]unstructured.Unstructured

// render is the release that these arguments make.
func render(t *testing.T, args ...string) objects {
	t.Helper()
	text, complaint := helmSays(t, args...)
	if complaint != "" {
		t.Fatal(complaint)
	}
	all := objects{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(o.Object) == 0 {
			continue
		}
		key := o.GetKind() + " " + o.GetName()
		if _, twice := all[key]; twice {
			t.Errorf("%s is made twice", key)
		}
		all[key] = o
		known(t, key, document)
	}
	return all
}

// known checks that a document has no field that Kubernetes does not know, as
// far as its kind is one of Kubernetes' own.
func known(t *testing.T, key, document string) {
	t.Helper()
	var kind unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(document), &kind.Object); err != nil {
		t.Fatal(err)
	}
	object, err := scheme.Scheme.New(kind.GroupVersionKind())
	if err != nil {
		return // cert-manager's and others': the API server knows them
	}
	if err := yaml.UnmarshalStrict([]byte(document), object); err != nil {
		t.Errorf("%s: %v", key, err)
	}
}

// as decodes one object of a release into its type.
func as[T any](t *testing.T, all objects, key string) T {
	t.Helper()
	var typed T
	o, found := all[key]
	if !found {
		t.Fatalf("no %s in the release", key)
	}
	data, err := yaml.Marshal(o.Object)
	if err == nil {
		err = yaml.UnmarshalStrict(data, &typed)
	}
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return typed
}
