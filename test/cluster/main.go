// Command cluster starts a real Kubernetes on this machine, for tests and experiments: etcd
// and the control plane, and for each node kubelet, kube-proxy and containerd in separate
// namespaces. It needs no container engine and no registry. See usage.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"koordinator.io/koordinator/test/cluster/cluster"
)

// usage is the text that help prints.
const usage = `usage: go run ./test/cluster COMMAND

  up [-nodes N]    build what is missing, start the cluster, wait until it can be used
  down             stop it and remove everything but the logs
  status           say what runs; exit 0 if the cluster is up
  kubeconfig       print the path of the administrator's kubeconfig
  bin              print the folder with kubectl, helm, ctr and the rest; build what is missing
  audit            print the path of the log of requests that came out of pods
  load ARCHIVE…    import container images
  restart [-kill] PART   stop a part or a node, start it again, wait until it works
  stop [-kill] PART      stop a part or a node
  start PART             start a stopped part or node, or add the next node
  remove NODE            stop the last node, and remove its files
  help             print this

PART is one of etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy, forwarder,
or for another node than the first containerd-node2 and so on. A node is node1, node2 and so on: stopping it ends
its containers and its network, like switching off a machine.

environment:
  KUBERNETES_VERSION    version to build and start, such as 1.34.4, also for a node that start adds
  KOORDINATOR_CLUSTER   name of the cluster, default koordinator; clusters of different names run side by side
  KOORDINATOR_CACHE     where built programs are kept, default koordinator in the user's cache folder
`

// errUsage is the error for an invalid command line.
var errUsage = errors.New("usage")

// main runs the command and turns its error into the exit code: 2 for an invalid command
// line, 1 for all other errors.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if errors.Is(err, errUsage) {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// run finds the command and calls it.
func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" {
		fmt.Fprint(os.Stdout, usage)
		return nil
	}
	c, err := cluster.FromEnvironment(os.Stderr)
	if err != nil {
		return err
	}
	name, args := args[0], args[1:]
	if command, ok := internal[name]; ok {
		return command(ctx, args)
	}
	command, ok := commands[name]
	if !ok {
		return errUsage
	}
	return command(ctx, c, args)
}
