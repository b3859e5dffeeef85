package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/process"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// partLimit is the time that one part may take until it works.
const partLimit = 5 * time.Minute

// startPart starts p and waits until it works. If p ends before that, the error contains
// the end of its log.
func (c *Cluster) startPart(ctx context.Context, p part.Part) error {
	node := c.layout.Node(p.Node)
	inside, err := sandbox.NewDialer(node.NetworkNamespace())
	if err != nil {
		return err
	}
	defer inside.Close()
	argv := p.Args
	if !p.Outside {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		argv = append([]string{self, "enter", c.layout.Name, strconv.Itoa(p.Node)}, p.Args...)
	}
	// The caller's environment is not inherited: a proxy or kubeconfig in it is not meant
	// for the parts.
	env := []string{"HOME=/root", "PATH=" + p.Bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	identity, err := process.Start(argv, env, c.layout.LogFile(p.Name))
	if err != nil {
		return err
	}
	if err := writeJSON(c.layout.Record(p.Name), identity); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, partLimit)
	defer cancel()
	err = poll(ctx, func() (bool, error) {
		if !identity.Alive() {
			return false, errors.New("it ended")
		}
		return p.Working(ctx, inside), nil
	})
	if err != nil {
		return fmt.Errorf("start %s: %w\n%s", p.Name, err, c.lastWords(p.Name))
	}
	return nil
}

// lastWords returns the end of a part's log, with the path of the whole log.
func (c *Cluster) lastWords(name string) string {
	path := c.layout.LogFile(name)
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return fmt.Sprintf("the last lines of %s:\n  %s", path, strings.Join(lines[max(0, len(lines)-12):], "\n  "))
}

// Start starts the stopped part or node called name, with its original arguments, or adds
// the node, and waits until its parts work.
func (c *Cluster) Start(ctx context.Context, name string) error {
	return c.exclusive(ctx, func() error {
		if err := c.add(ctx, name); err != nil {
			return err
		}
		return c.startAgain(ctx, name)
	})
}

// add adds the node called name to the state if it is the next one. The node has the version
// that the caller requires, or the one of the first node.
func (c *Cluster) add(ctx context.Context, name string) error {
	s, err := c.load()
	if err != nil {
		return err
	}
	if name != c.layout.Node(len(s.Nodes)+1).Name || len(s.Nodes) == MostNodes {
		return nil
	}
	release := s.first()
	if c.kubernetes != "" {
		programs, err := c.Programs(ctx)
		if err != nil {
			return err
		}
		release = nodeWith(programs)
	}
	s.Nodes = append(s.Nodes, release)
	return c.save(s)
}

// Stop stops the part or node called name: with SIGTERM first, or with SIGKILL if kill is
// set. A node loses its containers, its cgroup and its namespaces, but not its files.
func (c *Cluster) Stop(ctx context.Context, name string, kill bool) error {
	return c.exclusive(ctx, func() error { return c.stop(name, kill) })
}

// Restart calls Stop and Start without letting another command run between them.
func (c *Cluster) Restart(ctx context.Context, name string, kill bool) error {
	return c.exclusive(ctx, func() error {
		if err := c.stop(name, kill); err != nil {
			return err
		}
		return c.startAgain(ctx, name)
	})
}

// startAgain starts a part, or all parts of a node, of a cluster whose other parts run.
func (c *Cluster) startAgain(ctx context.Context, name string) error {
	t, err := c.find(name)
	if err != nil {
		return err
	}
	for _, p := range t.parts {
		if identity, err := c.record(p.Name); err == nil && identity.Alive() {
			return fmt.Errorf("start %s: %s runs, as process %d", name, p.Name, identity.PID)
		}
	}
	if !t.whole {
		return c.startParts(ctx, t.parts, nil)
	}
	if exists(t.node) {
		return fmt.Errorf("start %s: some of it is left: stop it first", name)
	}
	if err := c.createNode(t.state, t.node); err != nil {
		return err
	}
	return c.startParts(ctx, t.parts, c.loading(ctx, t.state, t.node))
}

// Remove stops the last node and removes its files.
func (c *Cluster) Remove(ctx context.Context, name string) error {
	return c.exclusive(ctx, func() error {
		t, err := c.find(name)
		if err != nil {
			return err
		}
		if !t.whole || t.node.Number == 1 || t.node.Number != len(t.state.Nodes) {
			return fmt.Errorf("remove %s: want the last node, and not the first one", name)
		}
		if err := c.stopNode(t.state, t.node, 0); err != nil {
			return err
		}
		if err := sandbox.Unmount(t.node.Data); err != nil {
			return err
		}
		if err := os.RemoveAll(t.node.Data); err != nil {
			return err
		}
		for _, p := range t.parts {
			if err := os.Remove(c.layout.Record(p.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		t.state.Nodes = t.state.Nodes[:t.node.Number-1]
		return c.save(t.state)
	})
}

// stop stops a part or a node of a cluster that is up. It is not an error if it does not run.
func (c *Cluster) stop(name string, kill bool) error {
	t, err := c.find(name)
	if err != nil {
		return err
	}
	grace := t.parts[0].Grace
	if kill {
		grace = 0
	}
	if t.whole {
		return c.stopNode(t.state, t.node, grace)
	}
	return c.stopRecorded(name, grace)
}

// stopRecorded stops the process that is recorded for a part, if any.
func (c *Cluster) stopRecorded(name string, grace time.Duration) error {
	identity, err := c.record(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return identity.Stop(grace)
}

// record reads the identity of the process that was started for a part.
func (c *Cluster) record(name string) (process.Identity, error) {
	var identity process.Identity
	err := readJSON(c.layout.Record(name), &identity)
	return identity, err
}

// target is the part or node of a command.
type target struct {
	state state
	node  layout.Node
	// parts is one part of the node, or all of them if whole is set.
	parts []part.Part
	whole bool
}

// find returns the part or node called name, as it was started.
func (c *Cluster) find(name string) (target, error) {
	s, err := c.load()
	if err != nil {
		return target{}, err
	}
	config, err := c.config(s)
	if err != nil {
		return target{}, err
	}
	known := part.Names(len(s.Nodes))
	for _, node := range c.nodes(s) {
		t := target{state: s, node: node, whole: node.Name == name}
		for _, p := range part.All(config) {
			if p.Node == node.Number && (t.whole || p.Name == name) {
				t.parts = append(t.parts, p)
			}
		}
		if t.parts != nil {
			return t, nil
		}
		known = append(known, node.Name)
	}
	return target{}, fmt.Errorf("no part or node is called %q (there are: %s)", name, strings.Join(known, ", "))
}

// poll calls done every 100 ms until it returns true or an error, or ctx ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}
