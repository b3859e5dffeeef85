// Package layout says where a cluster keeps its files. Only paths are decided here, nothing is created.
package layout

import (
	"fmt"
	"path/filepath"
	"regexp"
)

// DefaultName is the cluster that is meant when KOORDINATOR_CLUSTER is not set.
const DefaultName = "koordinator"

// names is what a cluster may be called. The name becomes part of socket paths, which the kernel limits to 108 bytes, and of cgroup names.
var names = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Layout is the set of places that belong to one cluster. Everything below Run and Data may be removed when the cluster is down.
type Layout struct {
	// Name is the cluster's name; two clusters with different names share nothing.
	Name string
	// Run holds sockets, process records and pinned namespaces.
	Run string
	// Data holds what is worth nothing without the processes, but is too large for a tmpfs.
	Data string
	// Log holds one file for each part. It outlives the cluster, so that a failed start can be understood.
	Log string
}

// New returns the places of the cluster called name.
func New(name string) (Layout, error) {
	if !names.MatchString(name) {
		return Layout{}, fmt.Errorf("cluster name %q: want 1 to 20 lower-case letters, digits and dashes, starting with a letter", name)
	}
	return Layout{
		Name: name,
		Run:  filepath.Join("/run/koordinator-cluster", name),
		Data: filepath.Join("/var/lib/koordinator-cluster", name),
		Log:  filepath.Join("/var/log/koordinator-cluster", name),
	}, nil
}

// Lock is the file that commands which change the cluster hold locked. It is never removed: removing a lock file while another waits for it breaks the lock.
func (l Layout) Lock() string { return l.Run + ".lock" }

// State is the record of what was started; see package cluster.
func (l Layout) State() string { return filepath.Join(l.Run, "cluster.json") }

// Record is the file with the identity of the process that runs part.
func (l Layout) Record(part string) string { return filepath.Join(l.Run, "parts", part+".json") }

// LogFile is where part writes its output.
func (l Layout) LogFile(part string) string { return filepath.Join(l.Log, part+".log") }

// AuditLog is where the API server writes which requests came out of pods, one JSON object a line; see part/audit.yaml.
func (l Layout) AuditLog() string { return filepath.Join(l.Log, "audit.log") }

// Namespaces is the folder in which the namespaces are pinned.
func (l Layout) Namespaces() string { return filepath.Join(l.Run, "ns") }

// NetworkNamespace pins the network namespace; nsenter --net= takes it.
func (l Layout) NetworkNamespace() string { return filepath.Join(l.Namespaces(), "net") }

// MountNamespace pins the mount namespace; nsenter --mount= takes it.
func (l Layout) MountNamespace() string { return filepath.Join(l.Namespaces(), "mnt") }

// Kubeconfig is the administrator's, for use outside of the network namespace.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Run, "kubeconfig") }

// PKI is the folder of certificates, keys and the parts' own kubeconfigs.
func (l Layout) PKI() string { return filepath.Join(l.Data, "pki") }

// Config is the folder of the configuration files of containerd, kubelet and CNI.
func (l Layout) Config() string { return filepath.Join(l.Data, "config") }

// Registries is the folder in which containerd looks for HOST/hosts.toml, for tests that run a registry of their own. It starts empty.
func (l Layout) Registries() string { return filepath.Join(l.Data, "config", "registries") }

// ContainerdSocket is where containerd answers, seen from outside of the mount namespace.
func (l Layout) ContainerdSocket() string {
	return filepath.Join(l.Run, "containerd", "containerd.sock")
}

// Cgroup is the name of the cgroup, in every hierarchy, that holds all processes of the cluster.
func (l Layout) Cgroup() string { return "koordinator-cluster-" + l.Name }

// Private maps the folders that the parts have hard-wired to folders of this cluster's own. The mount namespace makes them so.
func (l Layout) Private() map[string]string {
	return map[string]string{
		"/run/containerd":     filepath.Join(l.Run, "containerd"),
		"/var/lib/cni":        filepath.Join(l.Data, "cni"),
		"/var/lib/containerd": filepath.Join(l.Data, "containerd"),
		"/var/lib/kubelet":    filepath.Join(l.Data, "kubelet"),
		"/var/log/containers": filepath.Join(l.Data, "log", "containers"),
		"/var/log/pods":       filepath.Join(l.Data, "log", "pods"),
	}
}
