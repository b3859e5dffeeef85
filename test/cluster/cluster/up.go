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
	"koordinator.io/koordinator/test/cluster/release"
)

// startLimit is the time that a start may take, without the build.
const startLimit = 10 * time.Minute

// Up starts the cluster with a number of nodes and waits until it is usable. It does nothing
// if the cluster is up, and first removes a cluster that is partly up. If the start fails,
// only its logs remain.
func (c *Cluster) Up(ctx context.Context, nodes int) error {
	if err := needRoot(); err != nil {
		return err // before a build of minutes
	}
	if up, err := c.upAlready(ctx, nodes); up || err != nil {
		return err // without a build
	}
	if err := release.EnsureDebian(ctx, c.progress); err != nil {
		return err
	}
	programs, err := c.Programs(ctx)
	if err != nil {
		return err
	}
	return c.exclusive(ctx, func() error { return c.up(ctx, programs, nodes) })
}

// up is Up after the build, while no other command runs.
func (c *Cluster) up(ctx context.Context, programs release.Programs, nodes int) error {
	// Another command may have started it meanwhile.
	if up, err := c.upAlready(ctx, nodes); up || err != nil {
		return err
	}
	begin := time.Now()
	if c.remains() {
		fmt.Fprintf(c.progress, "removing what is left of cluster %s\n", c.layout.Name)
		if err := c.remove(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(c.layout.Log); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	s := state{Versions: programs.Versions(), Port: port, Nodes: slices.Repeat([]part.Release{nodeWith(programs)}, nodes)}
	if err := c.start(ctx, s, programs); err != nil {
		return errors.Join(err, c.remove())
	}
	fmt.Fprintf(c.progress, "cluster %s is up after %s: %s\n", c.layout.Name, time.Since(begin).Round(100*time.Millisecond), s.Versions)
	c.explain(s)
	return nil
}

// upAlready reports whether the cluster is up, and prints it if so. It returns an error if
// the cluster has another version than the required one, or fewer nodes.
func (c *Cluster) upAlready(ctx context.Context, nodes int) (bool, error) {
	running, up := c.running(ctx)
	if !up {
		return false, nil
	}
	if c.kubernetes != "" && running.first().Kubernetes != c.kubernetes {
		return true, fmt.Errorf("cluster %s is up with Kubernetes %s: run down first", c.layout.Name, running.first().Kubernetes)
	}
	if len(running.Nodes) < nodes {
		return true, fmt.Errorf("cluster %s is up with %d of %d nodes: run down first", c.layout.Name, len(running.Nodes), nodes)
	}
	fmt.Fprintf(c.progress, "cluster %s is up already: %s\n", c.layout.Name, running.Versions)
	c.explain(running)
	return true, nil
}

// explain prints how to use the cluster.
func (c *Cluster) explain(s state) {
	fmt.Fprintf(c.progress, "\n  export KUBECONFIG=%s\n  export PATH=%s:$PATH   # kubectl, helm, ctr\n", c.layout.Kubeconfig(), s.first().Bin)
	fmt.Fprintf(c.progress, "\nlogs: %s\n", c.layout.Log)
}

// start starts all parts and waits until the nodes are ready.
func (c *Cluster) start(ctx context.Context, s state, programs release.Programs) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("start cluster %s: not ready after %s", c.layout.Name, startLimit))
	defer cancel()
	if err := c.prepare(s); err != nil {
		return err
	}
	config, err := c.config(s)
	if err != nil {
		return err
	}
	if err := c.writeOwn(programs); err != nil {
		return err
	}
	if err := c.startParts(ctx, part.All(config), c.loading(ctx, s, c.nodes(s)...)); err != nil {
		return err
	}
	api, err := c.api(s)
	if err != nil {
		return err
	}
	if err := c.untilUsable(ctx, api, c.nodes(s)); err != nil {
		return err
	}
	s.Usable = true
	return c.save(s)
}

// startParts starts each part as soon as those of the parts that it needs work, and then
// calls the function in done with its name. The first failure ends the start.
func (c *Cluster) startParts(ctx context.Context, parts []part.Part, done map[string]func() error) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	working := make(map[string]chan struct{}, len(parts))
	for _, p := range parts {
		working[p.Name] = make(chan struct{})
	}
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() {
			for _, name := range p.After {
				if working[name] == nil {
					continue // it is not one of those to be started
				}
				select {
				case <-working[name]:
				case <-ctx.Done():
					return
				}
			}
			if err := c.startPart(ctx, p); err != nil {
				fail(err)
				return
			}
			close(working[p.Name])
			if next := done[p.Name]; next != nil {
				if err := next(); err != nil {
					fail(err)
				}
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
