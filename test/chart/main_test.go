// Package chart tests the output of helm for the templates of charts/koordinator, without a cluster.
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

// source is the path of the chart.
const source = "../../charts/koordinator"

// program is the package of helm, in the version that the Makefile pins.
const program = "helm.sh/helm/v4/cmd/helm@v4.3.1"

// helm is the path of the built program. TestMain sets it before the tests run.
var helm string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := programs()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	helm = filepath.Join(dir, "helm")
	if _, err := os.Stat(helm); err == nil {
		return m.Run()
	}
	install := exec.Command("go", "install", program)
	install.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOBIN="+dir)
	if out, err := install.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build %s: %v\n%s", program, err, out)
		return 1
	}
	return m.Run()
}

// programs returns a directory for this version of helm. It outlives the tests, because
// linking helm takes longer than they do.
func programs() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	_, version, _ := strings.Cut(program, "@")
	return filepath.Join(cache, "koordinator", "helm-"+version), nil
}

// helmSays returns the output of helm template, or its error.
func helmSays(t *testing.T, args ...string) (stdout, complaint string) {
	t.Helper()
	return helmSaysOf(t, "shop", args...)
}

// helmSaysOf returns the same for a release with another name.
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

// objects holds the objects of a release, by kind and name.
type objects map[string]unstructured.Unstructured

// render returns the release that helm renders with the arguments.
func render(t *testing.T, args ...string) objects {
	t.Helper()
	text, complaint := helmSays(t, args...)
	if complaint != "" {
		t.Fatal(complaint)
	}
	return decode(t, text)
}

// decode returns the objects in the output of helm template.
func decode(t *testing.T, text string) objects {
	t.Helper()
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

// known checks that a document has no unknown field, if its kind is one of Kubernetes' own.
func known(t *testing.T, key, document string) {
	t.Helper()
	var kind unstructured.Unstructured
	if err := yaml.Unmarshal([]byte(document), &kind.Object); err != nil {
		t.Fatal(err)
	}
	object, err := scheme.Scheme.New(kind.GroupVersionKind())
	if err != nil {
		return // a kind of cert-manager or of another project; only the API server can check it
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
