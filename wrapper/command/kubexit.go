package command

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/compat"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// kubexit runs a command according to kubexit's variables. Regardless of the
// result, the tombstone reports it to the containers that wait for it.
func (c command) kubexit() int {
	heard := process.Signals()
	args := c.args
	if filepath.Base(c.name) != compat.KubexitName && len(args) > 0 && args[0] == "--" {
		args = args[1:] // part of koordinator's command line, not of kubexit's
	}
	argv, version := compat.KubexitCommand(args)
	if version {
		fmt.Fprintln(c.stdout, "koordinator", spec.Release)
		return 0
	}
	k, err := compat.ParseKubexit(c.getenv)
	if err == nil {
		k.Dir, err = filepath.Abs(k.Dir) // the wrapper leaves its initial directory
	}
	if err != nil {
		return c.refuse(k.Spec, err, heard)
	}
	grave, err := compat.OpenGrave(k.Dir, k.Name)
	if err != nil {
		return c.refuse(k.Spec, err, heard)
	}
	c.getenv = podOf(k, c.getenv)
	code := c.supervise(wrapper.Config{
		Spec:       k.Spec,
		Tombstones: tombstones{k, grave.Since()},
		OnStart:    func() error { return grave.Born(time.Now()) },
	}, argv, heard)
	if err := grave.Died(time.Now(), code); err != nil {
		c.complain("tombstone not written: "+err.Error(), heard.Signals)
	}
	return code
}

// podOf returns getenv with the pod's name and namespace from kubexit's
// variables.
func podOf(k compat.Kubexit, getenv func(string) string) func(string) string {
	return func(name string) string {
		switch {
		case name == spec.EnvPodName && k.Pod != "":
			return k.Pod
		case name == spec.EnvPodNamespace && k.Namespace != "":
			return k.Namespace
		}
		return getenv(name)
	}
}

// tombstones reads the tombstones of the death dependencies for a run that
// began at since.
type tombstones struct {
	kubexit compat.Kubexit
	since   time.Time
}

func (t tombstones) names() []string {
	var names []string
	for _, d := range t.kubexit.Spec.StopDeps {
		names = append(names, d.Container)
	}
	return names
}

// Now returns their present content.
func (t tombstones) Now() lifecycle.Facts {
	return tombstoneFacts(t.kubexit.Spec, compat.Read(t.kubexit.Dir, t.names()), t.since)
}

// Watch sends their content until ctx ends.
func (t tombstones) Watch(ctx context.Context, out chan<- lifecycle.Facts) {
	stones := make(chan map[string]compat.Tombstone)
	go compat.Watch(ctx, t.kubexit.Dir, t.names(), stones)
	for {
		select {
		case s := <-stones:
			select {
			case out <- tombstoneFacts(t.kubexit.Spec, s, t.since):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// tombstoneFacts returns the facts about the death dependencies from their
// tombstones. If a living death dependency is also a birth dependency, its
// facts come from the pod's status instead.
func tombstoneFacts(s spec.Spec, stones map[string]compat.Tombstone, since time.Time) lifecycle.Facts {
	f := lifecycle.Facts{}
	for _, d := range s.StopDeps {
		stone := stones[d.Container]
		code, dead := stone.Dead(since)
		awaited := slices.ContainsFunc(s.StartDeps, func(start spec.Dependency) bool { return start.Container == d.Container })
		switch {
		case dead:
			f[d.Container] = lifecycle.Fact{Started: true, Exited: true, Code: code}
		case !awaited:
			f[d.Container] = lifecycle.Fact{Started: !stone.Born.IsZero()}
		}
	}
	return f
}
