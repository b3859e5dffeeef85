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

// listed is a package in the output of "go list".
type listed struct {
	ImportPath, Name string
	Standard         bool
	Imports, Deps    []string
}

// list returns every package of the programs, by import path.
func list(t *testing.T) map[string]listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Name,Standard,Imports,Deps",
		module+"cmd/...", module+"wrapper/...", module+"webhook/...", module+"cli/...").Output()
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

// layers are the packages from the bottom to the top. A package imports only
// packages of lower layers, so packages of one layer do not import each other.
var layers = [][]string{
	{"wrapper/spec"},
	{"wrapper/explore", "wrapper/podstatus", "webhook/messages", "webhook/sidecars"}, // consequences or parts of the contract
	{
		"wrapper/compat", "wrapper/envfile", "wrapper/lifecycle", "wrapper/notify", "wrapper/podwatch", "wrapper/probe", "wrapper/process", "wrapper/record",
		"webhook/certificate", "webhook/fleet", "webhook/image", "webhook/inject", "webhook/nodes", "webhook/rbac", "webhook/workload",
	},
	{"webhook/annotations", "webhook/commands"},
	{"webhook/rules"},
	{"webhook/admission"},
	{"wrapper", "wrapper/network", "webhook"},
	{"wrapper/command"},
	{"cli/input", "cli/order", "cli/history", "cli/picture"},
	{"cli/check", "cli/cluster", "cli/document", "cli/explain", "cli/graph", "cli/rules", "cli/simulate", "cli/timeline"},
	{"cli/filter", "cli/lint"},
	{"cli/command"}, // only its program is above it: nothing else imports the tool
	{"cmd/*"},
}

// layer returns the number of the first layer that names a package. ok is false
// if there is none.
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

// Only the tool's own packages and its program import the tool.
func TestNothingImportsTheTool(t *testing.T) {
	for full, p := range list(t) {
		name, ours := strings.CutPrefix(full, module)
		if !ours || strings.HasPrefix(name, "cli/") || name == "cmd/kubectl-koordinator" {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module+"cli/") {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}

// Each group of packages may be imported only by some of koordinator's packages.
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

// The program that runs in every wrapped container contains no TLS code and no
// package that would add it. TLS code belongs in koordinator-net.
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

// owners returns which of koordinator's packages may import a package, or nil if
// all may.
func owners(imported string) func(name string) bool {
	among := func(names ...string) func(string) bool {
		return func(name string) bool { return slices.Contains(names, name) }
	}
	switch {
	case strings.HasPrefix(imported, "sigs.k8s.io/controller-runtime"):
		return among("webhook", "webhook/admission", "webhook/certificate", "webhook/commands", "webhook/rbac", "webhook/workload", "cli/check", "cli/filter")
	case strings.HasPrefix(imported, "github.com/cert-manager/cert-manager"):
		return among("cli/check")
	case strings.HasPrefix(imported, "github.com/open-policy-agent/cert-controller"):
		return among("webhook/certificate")
	case strings.HasPrefix(imported, "github.com/prometheus/client_golang"):
		return among("webhook/admission", "webhook/certificate", "webhook/commands", "webhook/fleet", "webhook/rules", "cli/filter") // the tool calls the webhook's handler
	case strings.HasPrefix(imported, "github.com/spf13/cobra"):
		return among("cli/command")
	case strings.HasPrefix(imported, "k8s.io/cli-runtime"):
		return func(name string) bool { return strings.HasPrefix(name, "cli/") }
	case strings.HasPrefix(imported, "go.yaml.in/yaml/"):
		return among("webhook/annotations", "cli/document", "cli/lint", "cli/filter")
	case strings.HasPrefix(imported, "github.com/google/go-containerregistry"):
		return among("webhook/image")
	case strings.HasPrefix(imported, "k8s.io/"):
		return func(name string) bool { return strings.HasPrefix(name, "webhook") || strings.HasPrefix(name, "cli/") }
	}
	return nil
}
