package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

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

// remove stops the parts in order, kills the remaining processes in the cgroup, and removes
// mounts, namespaces, cgroup and directories. The files stay if a process or mount remains,
// because the next attempt needs them.
func (c *Cluster) remove() error {
	group, err := sandbox.OpenCgroup(c.layout.Cgroup())
	if err != nil {
		return err
	}
	var failures []error
	for _, names := range part.StopOrder() {
		failures = append(failures, c.stopTogether(names))
		if slices.Contains(names, part.Kubelet) {
			failures = append(failures, group.KillPods(part.PodsCgroup))
		}
	}
	// The containers' shims outlive containerd, and so do parts whose record was never written.
	failures = append(failures, group.Kill(), sandbox.Unmount(c.layout.Run, c.layout.Data), group.Remove())
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("remove cluster %s: %w", c.layout.Name, err)
	}
	return errors.Join(os.RemoveAll(c.layout.Run), os.RemoveAll(c.layout.Data))
}

// stopTogether stops several parts concurrently.
func (c *Cluster) stopTogether(names []string) error {
	failures := make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { failures[i] = c.stopRecorded(name, downGrace) })
	}
	all.Wait()
	return errors.Join(failures...)
}
