// Package layout defines the paths of a cluster's files. It creates nothing.
package layout

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// DefaultName is the name of the cluster if KOORDINATOR_CLUSTER is not set.
const DefaultName = "koordinator"

// Runs is the directory with the Run directories of all clusters.
const Runs = "/run/koordinator-cluster"

// names matches valid names of clusters. A name becomes part of cgroup names and of socket
// paths, which the kernel limits to 108 bytes.
var names = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$`)

// Layout holds the paths that belong to one cluster. Everything below Run and Data may be
// removed when the cluster is down.
type Layout struct {
	// Name is the cluster's name; two clusters with different names share nothing.
	Name string
	// Run holds sockets, process records and pinned namespaces.
	Run string
	// Data holds files that are useless without the processes, but too large for a tmpfs.
	Data string
	// Log holds one file for each part. It outlives the cluster, so that a failed start can be understood.
	Log string
}

// New returns the paths of the cluster called name.
func New(name string) (Layout, error) {
	if !names.MatchString(name) {
		return Layout{}, fmt.Errorf("cluster name %q: want 1 to 20 lower-case letters, digits and dashes, starting with a letter", name)
	}
	return Layout{
		Name: name,
		Run:  filepath.Join(Runs, name),
		Data: filepath.Join("/var/lib/koordinator-cluster", name),
		Log:  filepath.Join("/var/log/koordinator-cluster", name),
	}, nil
}

// Lock returns the path of the file that a command locks while it changes the cluster. It
// is never removed, because removing a lock file while another command waits for it breaks
// the lock.
func (l Layout) Lock() string { return l.Run + ".lock" }

// State returns the path of the record of a start; see package cluster.
func (l Layout) State() string { return filepath.Join(l.Run, "cluster.json") }

// Record returns the path of the file with the identity of the process that runs part.
func (l Layout) Record(part string) string { return filepath.Join(l.Run, "parts", part+".json") }

// LogFile returns the path of the file to which part writes its output.
func (l Layout) LogFile(part string) string { return filepath.Join(l.Log, part+".log") }

// AuditLog returns the path of the file in which the API server records requests from pods, one JSON object
// on each line; see part/audit.yaml.
func (l Layout) AuditLog() string { return filepath.Join(l.Log, "audit.log") }

// Kubeconfig returns the path of the administrator's kubeconfig, for use outside the
// network namespace.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Run, "kubeconfig") }

// PKI returns the path of the directory with certificates, keys and the parts' own kubeconfigs.
func (l Layout) PKI() string { return filepath.Join(l.Data, "pki") }

// Config returns the path of the directory with the configuration files that all nodes share.
func (l Layout) Config() string { return filepath.Join(l.Data, "config") }

// Registries returns the path of the directory in which containerd looks for
// HOST/hosts.toml, for tests with a registry of their own. It is empty at the start.
func (l Layout) Registries() string { return filepath.Join(l.Config(), "registries") }

// Cgroup returns the name of the cgroup, in every hierarchy, that holds all processes of
// the cluster.
func (l Layout) Cgroup() string { return "koordinator-cluster-" + l.Name }

// Node holds the paths of one node of a cluster.
type Node struct {
	// Number is 1 for the first node, which also runs the control plane.
	Number int
	// Name is the name of the Node object.
	Name string
	// Run holds the node's sockets and pinned namespaces. It is part of the cluster's Run.
	Run string
	// Data holds the files that survive a restart of the node. It is part of the cluster's Data.
	Data string
	// Cgroup is the name of the cgroup, in every hierarchy, that holds the node's processes.
	Cgroup string
}

// Node returns the paths of the node with the given number.
func (l Layout) Node(number int) Node {
	name := "node" + strconv.Itoa(number)
	return Node{
		Number: number,
		Name:   name,
		Run:    filepath.Join(l.Run, name),
		Data:   filepath.Join(l.Data, name),
		Cgroup: filepath.Join(l.Cgroup(), name),
	}
}

// Namespaces returns the path of the directory in which the namespaces are pinned.
func (n Node) Namespaces() string { return filepath.Join(n.Run, "ns") }

// NetworkNamespace pins the network namespace; use it with nsenter --net=.
func (n Node) NetworkNamespace() string { return filepath.Join(n.Namespaces(), "net") }

// MountNamespace pins the mount namespace; use it with nsenter --mount=.
func (n Node) MountNamespace() string { return filepath.Join(n.Namespaces(), "mnt") }

// Config returns the path of the directory with the configuration files of containerd,
// kubelet and CNI.
func (n Node) Config() string { return filepath.Join(n.Data, "config") }

// ContainerdSocket returns the path of containerd's socket, as seen from outside the mount
// namespace.
func (n Node) ContainerdSocket() string { return filepath.Join(n.Run, "containerd", "containerd.sock") }

// Private maps the directories that are hard-coded in the parts to this node's own
// directories. The mount namespace implements the mapping.
func (n Node) Private() map[string]string {
	return map[string]string{
		"/run/containerd":     filepath.Join(n.Run, "containerd"),
		"/var/lib/cni":        filepath.Join(n.Data, "cni"),
		"/var/lib/containerd": filepath.Join(n.Data, "containerd"),
		"/var/lib/kubelet":    filepath.Join(n.Data, "kubelet"),
		"/var/log/containers": filepath.Join(n.Data, "log", "containers"),
		"/var/log/pods":       filepath.Join(n.Data, "log", "pods"),
	}
}
