package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "koordinator.io/koordinator/"

// listed is a package as "go list" tells it.
type listed struct {
	ImportPath, Name string
	Standard         bool
	Imports, Deps    []string
}

// list is every package that both programs are made of, by import path.
func list(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,Deps",
		module+"cmd/...", module+"wrapper/...", module+"webhook/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]listed{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

// layers are the packages from the bottom to the top. A package imports packages of
// lower layers only: those of one layer do not import each other.
var layers = [][]string{
	{"wrapper/spec"},
	{"wrapper/explore", "wrapper/podstatus"}, // what follows from the contract, or belongs to it
	{
		"wrapper/compat", "wrapper/lifecycle", "wrapper/podwatch", "wrapper/probe", "wrapper/process", "wrapper/record",
		"webhook/certificate", "webhook/image", "webhook/inject", "webhook/nodes", "webhook/rbac", "webhook/workload",
	},
	{"webhook/annotations", "webhook/commands"},
	{"webhook/admission"},
	{"wrapper", "wrapper/network", "webhook"},
	{"wrapper/command"},
	{"cmd/*"},
}

// layer is the number of the first layer that names a package. ok is false if none
// does.
func layer(name string) (number int, ok bool) {
	for number, patterns := range layers {
		for _, pattern := range patterns {
			if matched, err := path.Match(pattern, name); err == nil && matched {
				return number, true
			}
		}
	}
	return 0, false
}

func TestDependenciesPointOneWay(t *testing.T) {
	for full, p := range list(t) {
		name, ours := strings.CutPrefix(full, module)
		if !ours {
			continue
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types"}, p.Name) {
			t.Errorf("%s: the name says nothing", name)
		}
		at, ok := layer(name)
		if !ok {
			t.Errorf("%s is in no layer", name)
		}
		for _, imported := range p.Imports {
			below, ours := strings.CutPrefix(imported, module)
			if from, _ := layer(below); ours && from >= at {
				t.Errorf("%s imports %s, which is not below it", name, below)
			}
		}
	}
}

// Each group of packages may be imported by some of ours only.
func TestDependenciesLiveWhereTheyBelong(t *testing.T) {
	all := list(t)
	for full, p := range all {
		name, ours := strings.CutPrefix(full, module)
		if !ours {
			continue
		}
		for _, imported := range p.Imports {
			if owners := owners(imported); owners != nil && !owners(name) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
		if !strings.HasPrefix(name, "cmd/koordinator") && !strings.HasPrefix(name, "wrapper") {
			continue
		}
		for _, dep := range p.Deps {
			if !all[dep].Standard && !strings.HasPrefix(dep, module) && !strings.HasPrefix(dep, "golang.org/x/sys/") {
				t.Errorf("%s needs %s", name, dep)
			}
		}
	}
}

// What every wrapped container runs has no TLS in it, and not what would bring it
// in: that is koordinator-net's.
func TestTheWrapperHasNoNetworkInIt(t *testing.T) {
	all := list(t)
	for _, name := range []string{"cmd/koordinator", "wrapper", "wrapper/command"} {
		for _, dep := range all[module+name].Deps {
			if dep == "net/http" || strings.HasPrefix(dep, "crypto/") || strings.HasPrefix(dep, "vendor/golang.org/x/crypto") {
				t.Errorf("%s needs %s", name, dep)
			}
		}
	}
	if !slices.Contains(all[module+"cmd/koordinator-net"].Deps, "crypto/tls") {
		t.Error("koordinator-net has no TLS")
	}
}

// owners says which packages of ours may import a package, nil when all may.
func owners(imported string) func(name string) bool {
	among := func(names ...string) func(string) bool {
		return func(name string) bool { return slices.Contains(names, name) }
	}
	switch {
	case strings.HasPrefix(imported, "sigs.k8s.io/controller-runtime"):
		return among("webhook", "webhook/admission", "webhook/certificate", "webhook/commands", "webhook/rbac", "webhook/workload")
	case strings.HasPrefix(imported, "github.com/open-policy-agent/cert-controller"):
		return among("webhook/certificate")
	case strings.HasPrefix(imported, "github.com/prometheus/client_golang"):
		return among("webhook/admission", "webhook/commands")
	case strings.HasPrefix(imported, "go.yaml.in/yaml/"):
		return among("webhook/annotations")
	case strings.HasPrefix(imported, "github.com/google/go-containerregistry"):
		return among("webhook/image")
	case strings.HasPrefix(imported, "k8s.io/"):
		return func(name string) bool { return strings.HasPrefix(name, "webhook") }
	}
	return nil
}
