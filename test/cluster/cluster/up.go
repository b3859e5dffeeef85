package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/release"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// startLimit is the time that a start may take, without the build.
const startLimit = 10 * time.Minute

// Up starts the cluster and waits until it is usable. It does nothing if the cluster is up,
// and first removes a cluster that is partly up. If the start fails, only its logs remain.
func (c *Cluster) Up(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err // before a build of minutes
	}
	if up, err := c.upAlready(ctx); up || err != nil {
		return err // without a build
	}
	if err := release.EnsureDebian(ctx, c.progress); err != nil {
		return err
	}
	programs, err := c.Programs(ctx)
	if err != nil {
		return err
	}
	return c.exclusive(ctx, func() error { return c.up(ctx, programs) })
}

// up is Up after the build, while no other command runs.
func (c *Cluster) up(ctx context.Context, programs release.Programs) error {
	// Another command may have started it meanwhile.
	if up, err := c.upAlready(ctx); up || err != nil {
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
	s := state{Kubernetes: programs.Kubernetes, Bin: programs.Bin, Versions: programs.Versions(), Port: port}
	if err := c.start(ctx, s, programs); err != nil {
		return errors.Join(err, c.remove())
	}
	fmt.Fprintf(c.progress, "cluster %s is up after %s: %s\n", c.layout.Name, time.Since(begin).Round(100*time.Millisecond), s.Versions)
	c.explain(s)
	return nil
}

// upAlready reports whether the cluster is up, and prints it if so. It returns an error if
// the cluster has another version than the required one.
func (c *Cluster) upAlready(ctx context.Context) (bool, error) {
	running, up := c.running(ctx)
	if !up {
		return false, nil
	}
	if c.kubernetes != "" && running.Kubernetes != c.kubernetes {
		return true, fmt.Errorf("cluster %s is up with Kubernetes %s: run down first", c.layout.Name, running.Kubernetes)
	}
	fmt.Fprintf(c.progress, "cluster %s is up already: %s\n", c.layout.Name, running.Versions)
	c.explain(running)
	return true, nil
}

// explain prints how to use the cluster.
func (c *Cluster) explain(s state) {
	fmt.Fprintf(c.progress, "\n  export KUBECONFIG=%s\n  export PATH=%s:$PATH   # kubectl, helm, ctr\n", c.layout.Kubeconfig(), s.Bin)
	fmt.Fprintf(c.progress, "\nlogs: %s\n", c.layout.Log)
}

// start starts all parts and waits until the node is ready.
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
	inside, err := sandbox.NewDialer(c.layout.NetworkNamespace())
	if err != nil {
		return err
	}
	defer inside.Close()
	if err := c.startParts(ctx, config, inside, programs); err != nil {
		return err
	}
	api, err := c.api(s)
	if err != nil {
		return err
	}
	if err := c.untilUsable(ctx, api); err != nil {
		return err
	}
	s.Usable = true
	return c.save(s)
}

// startParts starts each part as soon as the parts that it needs work, and loads the images
// at the same time. The first failure ends the start.
func (c *Cluster) startParts(ctx context.Context, config part.Config, inside part.Inside, programs release.Programs) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	parts := part.All(config)
	working := make(map[string]chan struct{}, len(parts))
	for _, p := range parts {
		working[p.Name] = make(chan struct{})
	}
	var all sync.WaitGroup
	after := func(names []string, do func() error) {
		all.Go(func() {
			for _, name := range names {
				select {
				case <-working[name]:
				case <-ctx.Done():
					return
				}
			}
			if err := do(); err != nil {
				fail(err)
			}
		})
	}
	for _, p := range parts {
		after(p.After, func() error {
			if err := c.startPart(ctx, p, config.Bin, inside); err != nil {
				return err
			}
			close(working[p.Name])
			return nil
		})
	}
	after([]string{part.Containerd}, func() error { return c.loadOwn(ctx, programs) })
	all.Wait()
	return context.Cause(ctx)
}
