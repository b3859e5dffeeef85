package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// downGrace is the grace period of a part when the whole cluster is removed. It is short
// because no data has to be saved.
const downGrace = 2 * time.Second

// Down removes the cluster, in whatever state it is. If there is nothing to remove, it prints this.
func (c *Cluster) Down(ctx context.Context) error {
	return c.exclusive(ctx, func() error {
		if !c.remains() {
			fmt.Fprintf(c.progress, "cluster %s: nothing is up\n", c.layout.Name)
			return nil
		}
		begin := time.Now()
		if err := c.remove(); err != nil {
			return err
		}
		fmt.Fprintf(c.progress, "cluster %s is down after %s\n", c.layout.Name, time.Since(begin).Round(100*time.Millisecond))
		return nil
	})
}

// remains reports whether anything of the cluster exists.
func (c *Cluster) remains() bool {
	group, err := sandbox.OpenCgroup(c.layout.Cgroup())
	return err == nil && group.Exists() || slices.ContainsFunc([]string{c.layout.Run, c.layout.Data}, func(dir string) bool {
		_, err := os.Lstat(dir)
		return err == nil
	})
}

// remove stops the nodes, kills the remaining processes in the cgroup, and removes mounts,
// namespaces, cgroup and directories. The files stay if a process or mount remains, because
// the next attempt needs them.
func (c *Cluster) remove() error {
	group, err := sandbox.OpenCgroup(c.layout.Cgroup())
	if err != nil {
		return err
	}
	var failures []error
	s, err := c.load()
	if err != nil {
		s.Nodes = make([]part.Release, 1) // the processes of other nodes are in the cgroup, too
	}
	nodes := c.nodes(s)
	slices.Reverse(nodes) // the first one has the API server
	for _, node := range nodes {
		failures = append(failures, c.stopParts(node, downGrace))
	}
	// The containers' shims outlive containerd, and so do parts whose record was never written.
	failures = append(failures, group.Kill(), sandbox.Unmount(c.layout.Run, c.layout.Data), group.Remove())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("remove cluster %s: %w", c.layout.Name, err)
	}
	return errors.Join(os.RemoveAll(c.layout.Run), os.RemoveAll(c.layout.Data))
}

// stopNode ends everything that a machine loses when it is switched off: processes, network,
// mounts, and the files of a tmpfs. With SIGKILL, the network is the first: a machine that
// loses its power closes no connection.
func (c *Cluster) stopNode(s state, node layout.Node, grace time.Duration) error {
	if !exists(node) {
		return nil
	}
	steps := []func() error{
		func() error { return c.stopProcesses(node, grace) },
		func() error { return c.unlink(s, node) },
	}
	if grace == 0 {
		slices.Reverse(steps)
	}
	steps = append(steps, func() error { return sandbox.Unmount(node.Run) })
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("stop %s: %w", node.Name, err)
		}
	}
	return os.RemoveAll(node.Run)
}

// stopProcesses ends all processes of a node, and removes its cgroup. Without a grace period,
// all of them end at the same time.
func (c *Cluster) stopProcesses(node layout.Node, grace time.Duration) error {
	group, err := sandbox.OpenCgroup(node.Cgroup)
	if err != nil {
		return err
	}
	var failed error
	if grace > 0 {
		failed = c.stopParts(node, grace)
	}
	return errors.Join(failed, group.Kill(), group.Remove())
}

// stopParts stops the parts of a node in order, and kills its pods.
func (c *Cluster) stopParts(node layout.Node, grace time.Duration) error {
	group, err := sandbox.OpenCgroup(node.Cgroup)
	if err != nil {
		return err
	}
	var failures []error
	for _, names := range part.StopOrder(node.Number) {
		failures = append(failures, c.stopTogether(names, grace))
		if slices.Contains(names, part.On(node.Number, part.Kubelet)) {
			failures = append(failures, group.KillPods(part.PodsCgroup))
		}
	}
	return errors.Join(failures...)
}

// stopTogether stops several parts concurrently.
func (c *Cluster) stopTogether(names []string, grace time.Duration) error {
	failures := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { failures[i] = c.stopRecorded(name, grace) })
	}
	all.Wait()
	return errors.Join(failures...)
}
