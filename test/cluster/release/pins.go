// Package release builds the programs of a cluster from their modules, and installs the
// others from Debian. All built programs stay in a cache, in one directory for each
// version.
package release

import (
	"fmt"
	"regexp"
	"strings"
)

// The versions of everything that is built. Debian's packages have the version of the
// machine's Debian.
const (
	// DefaultKubernetes is the version if KUBERNETES_VERSION is not set.
	DefaultKubernetes = "1.37.2"
	containerd        = "v2.3.7"
	helm              = "v4.3.1"
)

// kubernetesVersions matches valid values of KUBERNETES_VERSION.
var kubernetesVersions = regexp.MustCompile(`^1\.(\d+)\.\d+(-(alpha|beta|rc)\.\d+)?$`)

// bundle is a set of programs that are built from one module.
type bundle struct {
	// name and version (with its v) form the name of the directory in the cache.
	name, version string
	// module is the path of the module that has the programs.
	module string
	// commands are the programs' packages, below module.
	commands []string
	// tags are build tags, separated by commas.
	tags string
	// variables are set by the linker to the given values. Otherwise, the programs would
	// not know their versions.
	variables map[string]string
}

// folder returns the name of the bundle's directory in the cache.
func (b bundle) folder() string { return b.name + "-" + b.version }

// bundles returns the bundles for a cluster with this Kubernetes version (without v).
func bundles(kubernetes string) ([]bundle, error) {
	parts := kubernetesVersions.FindStringSubmatch(kubernetes)
	if parts == nil {
		return nil, fmt.Errorf("KUBERNETES_VERSION %q: want 1.MINOR.PATCH or a preliminary version, such as %s or 1.38.0-beta.0", kubernetes, DefaultKubernetes)
	}
	variables := map[string]string{}
	for _, stamped := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		variables[stamped+".gitVersion"] = "v" + kubernetes
		variables[stamped+".gitMajor"] = "1"
		variables[stamped+".gitMinor"] = parts[1]
		variables[stamped+".gitTreeState"] = "clean"
	}
	return []bundle{
		{
			name: "kubernetes", version: "v" + kubernetes, module: "k8s.io/kubernetes",
			commands:  strings.Fields("cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubelet cmd/kube-proxy cmd/kubectl"),
			variables: variables,
		},
		{
			name: "containerd", version: containerd, module: "github.com/containerd/containerd/v2",
			commands:  strings.Fields("cmd/containerd cmd/containerd-shim-runc-v2 cmd/ctr"),
			tags:      "no_btrfs,no_zfs,no_devmapper",
			variables: map[string]string{"github.com/containerd/containerd/v2/version.Version": containerd},
		},
		{
			name: "helm", version: helm, module: "helm.sh/helm/v4",
			commands:  []string{"cmd/helm"},
			variables: map[string]string{"helm.sh/helm/v4/internal/version.version": helm},
		},
	}, nil
}
