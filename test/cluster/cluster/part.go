package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/process"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// partLimit is the time that one part may take until it works.
const partLimit = 5 * time.Minute

// startPart starts p and waits until it works. If p ends before that, the error contains
// the end of its log.
func (c *Cluster) startPart(ctx context.Context, p part.Part, bin string, inside part.Inside) error {
	argv := p.Args
	if !p.Outside {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		argv = append([]string{self, "enter", c.layout.Name}, p.Args...)
	}
	// The caller's environment is not inherited: a proxy or kubeconfig in it is not meant
	// for the parts.
	env := []string{"HOME=/root", "PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
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

// Start starts the stopped part called name, with its original arguments, and waits until it works.
func (c *Cluster) Start(ctx context.Context, name string) error {
	return c.exclusive(ctx, func() error { return c.startAgain(ctx, name) })
}

// Stop stops the part called name: with SIGTERM first, or with SIGKILL if kill is set.
func (c *Cluster) Stop(ctx context.Context, name string, kill bool) error {
	return c.exclusive(ctx, func() error { return c.stopPart(name, kill) })
}

// Restart calls Stop and Start without letting another command run between them.
func (c *Cluster) Restart(ctx context.Context, name string, kill bool) error {
	return c.exclusive(ctx, func() error {
		if err := c.stopPart(name, kill); err != nil {
			return err
		}
		return c.startAgain(ctx, name)
	})
}

// startAgain starts a part of a cluster whose other parts run.
func (c *Cluster) startAgain(ctx context.Context, name string) error {
	p, s, err := c.find(name)
	if err != nil {
		return err
	}
	if identity, err := c.record(name); err == nil && identity.Alive() {
		return fmt.Errorf("start %s: it runs, as process %d", name, identity.PID)
	}
	inside, err := sandbox.NewDialer(c.layout.NetworkNamespace())
	if err != nil {
		return err
	}
	defer inside.Close()
	return c.startPart(ctx, p, s.Bin, inside)
}

// stopPart stops a part of a cluster that is up. It is not an error if the part does not run.
func (c *Cluster) stopPart(name string, kill bool) error {
	p, _, err := c.find(name)
	if err != nil {
		return err
	}
	grace := p.Grace
	if kill {
		grace = 0
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

// find returns the part called name, as it was started.
func (c *Cluster) find(name string) (part.Part, state, error) {
	s, err := c.load()
	if err != nil {
		return part.Part{}, s, err
	}
	config, err := c.config(s)
	if err != nil {
		return part.Part{}, s, err
	}
	for _, p := range part.All(config) {
		if p.Name == name {
			return p, s, nil
		}
	}
	return part.Part{}, s, fmt.Errorf("no part is called %q (there are: %s)", name, strings.Join(part.Names(), ", "))
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
