// Package part describes the programs of a cluster: how to start each one, what it must
// wait for, and how to check that it works.
package part

import (
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// Part is one program of a cluster.
type Part struct {
	// Name is unique. Commands use it to select the part.
	Name string
	// After names the parts that must work before this one is started.
	After []string
	// Args is the program and its arguments.
	Args []string
	// Outside is for a part that runs in the network and mount namespaces of the host.
	Outside bool
	// Health is a URL for the health check: http and https must answer 200, tcp and unix
	// must accept a connection. Addresses are in the part's network namespace.
	Health string
	// Grace is the time between SIGTERM and SIGKILL.
	Grace time.Duration
}

// Config holds the values on which the arguments of the parts depend.
type Config struct {
	Layout layout.Layout
	// Bin is the directory of the built programs.
	Bin string
	// Kubernetes is the version, without v.
	Kubernetes string
	// Port is the port of the forwarder on the host's 127.0.0.1.
	Port int
	// Self is this program, to run the forwarder.
	Self string
}

// The names of the parts, in the order in which they are listed.
const (
	Forwarder         = "forwarder"
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Containerd        = "containerd"
	Kubelet           = "kubelet"
	Proxy             = "kube-proxy"
)

// NodeName is the name of the only node.
const NodeName = "node1"

// APIServerAddress is the API server's address inside the network namespace, where it
// listens on all addresses.
const APIServerAddress = sandbox.NodeIP + ":6443"

// PodsCgroup is the child of the cluster's cgroup in which the kubelet places the pods.
const PodsCgroup = "kubepods"

// grace is long enough for every part to write its data; none of the data is worth more time.
const grace = 5 * time.Second

// StopOrder returns the order in which parts are stopped. The parts of each group are
// stopped at the same time. The kubelet comes before containerd, because otherwise it would
// see its containers fail. The API server comes after the parts that write to it. The pods
// are killed after the first group.
func StopOrder() [][]string {
	return [][]string{{Proxy, Kubelet}, {Scheduler, ControllerManager}, {APIServer, Containerd}, {Etcd, Forwarder}}
}

// All returns the parts of a cluster, in an order in which they can be started one after another.
func All(c Config) []Part {
	return []Part{c.forwarder(), c.etcd(), c.containerd(), c.apiServer(), c.controllerManager(), c.scheduler(), c.kubelet(), c.proxy()}
}

// Names lists the names of the parts, in the order of [All].
func Names() []string {
	var names []string
	for _, p := range All(Config{}) {
		names = append(names, p.Name)
	}
	return names
}
