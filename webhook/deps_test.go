package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
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

// layer is how far a package of ours is from the standard library: imports go
// from a higher layer to a lower one.
func layer(name string) int {
	switch {
	case strings.HasPrefix(name, "cmd/"):
		return 5
	case name == "wrapper/command":
		return 4
	case name == "wrapper", name == "wrapper/network", name == "webhook":
		return 3
	case name == "wrapper/explore", name == "wrapper/podstatus": // what follows from the contract, or belongs to it
		return 1
	case name == "wrapper/spec":
		return 0
	default:
		return 2 // leaves, which do not import each other
	}
}

func TestDependenciesPointOneWay(t *testing.T) {
	for path, p := range list(t) {
		name, ours := strings.CutPrefix(path, module)
		if !ours {
			continue
		}
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types"}, p.Name) {
			t.Errorf("%s: the name says nothing", name)
		}
		for _, imported := range p.Imports {
			if below, ours := strings.CutPrefix(imported, module); ours && layer(below) >= layer(name) {
				t.Errorf("%s imports %s", name, below)
			}
		}
	}
}

// Each group of packages may be imported by some of ours only.
func TestDependenciesLiveWhereTheyBelong(t *testing.T) {
	all := list(t)
	for path, p := range all {
		name, ours := strings.CutPrefix(path, module)
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
		return among("webhook", "webhook/rbac", "webhook/workload")
	case strings.HasPrefix(imported, "github.com/google/go-containerregistry"):
		return among("webhook/image")
	case strings.HasPrefix(imported, "k8s.io/"):
		return func(name string) bool { return strings.HasPrefix(name, "webhook") }
	}
	return nil
}
