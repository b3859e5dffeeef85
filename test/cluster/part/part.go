// Package part describes the programs of a cluster: how to start each one, what it must
// wait for, and how to check that it works.
package part

import (
	"fmt"
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// Part is one program of a cluster.
type Part struct {
	// Name is unique. Commands use it to select the part.
	Name string
	// Node is the number of the node on which the part runs.
	Node int
	// After names the parts that must work before this one is started.
	After []string
	// Args is the program and its arguments.
	Args []string
	// Bin is the directory in which the part finds programs before those of the machine.
	Bin string
	// Outside is for a part that runs in the network and mount namespaces of the host. It
	// belongs to the node whose addresses it uses.
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
	// Nodes is what each node runs. The control plane is that of the first one.
	Nodes []Release
	// Port is the port of the forwarder on the host's 127.0.0.1.
	Port int
	// Self is this program, to run the forwarder.
	Self string
}

// Release is a version of Kubernetes.
type Release struct {
	// Kubernetes is the version, without v.
	Kubernetes string `json:"kubernetes"`
	// Bin is the directory of the built programs.
	Bin string `json:"bin"`
}

// The names of the parts of the first node, in the order in which they are listed.
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

// On returns the name of a part that every node has, on the node with the given number.
func On(number int, name string) string {
	if number == 1 {
		return name
	}
	return fmt.Sprintf("%s-node%d", name, number)
}

// APIServerAddress returns the API server's address in the network namespaces. The server
// listens on all addresses of the first node.
func APIServerAddress() string { return sandbox.NodeIP(1) + ":6443" }

// PodsCgroup is the child of a node's cgroup in which the kubelet places the pods.
const PodsCgroup = "kubepods"

// grace is long enough for every part to write its data; none of the data is worth more time.
const grace = 5 * time.Second

// StopOrder returns the order in which the parts of a node are stopped. The parts of each
// group are stopped at the same time. The kubelet comes before containerd, because otherwise
// it would see its containers fail. The API server comes after the parts that write to it.
// The pods are killed after the first group.
func StopOrder(number int) [][]string {
	if number == 1 {
		return [][]string{{Proxy, Kubelet}, {Scheduler, ControllerManager}, {APIServer, Containerd}, {Etcd, Forwarder}}
	}
	return [][]string{{On(number, Proxy), On(number, Kubelet)}, {On(number, Containerd)}}
}

// All returns the parts of a cluster, in an order in which they can be started one after another.
func All(c Config) []Part {
	all := []Part{c.forwarder(), c.etcd(), c.containerd(1), c.apiServer(), c.controllerManager(), c.scheduler(), c.kubelet(1), c.proxy(1)}
	for number := 2; number <= len(c.Nodes); number++ {
		all = append(all, c.containerd(number), c.kubelet(number), c.proxy(number))
	}
	for i := range all {
		all[i].Bin = c.release(all[i].Node).Bin
	}
	return all
}

// release returns what a node runs.
func (c Config) release(number int) Release { return c.Nodes[number-1] }

// Names lists the names of the parts of a cluster with the given number of nodes, in the order of [All].
func Names(nodes int) []string {
	var names []string
	for _, p := range All(Config{Nodes: make([]Release, nodes)}) {
		names = append(names, p.Name)
	}
	return names
}
