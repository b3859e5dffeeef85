package main

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

// kubexit runs a command as kubexit's variables say. Whatever comes of it, the
// tombstone tells those that wait for it.
func (c command) kubexit() int {
	heard := process.Signals()
	args := c.args
	if filepath.Base(c.name) != compat.KubexitName && len(args) > 0 && args[0] == "--" {
		args = args[1:] // of our own command line, which kubexit's does not have
	}
	argv, version := compat.KubexitCommand(args)
	if version {
		fmt.Fprintln(c.stdout, "koordinator", spec.Release)
		return 0
	}
	k, err := compat.ParseKubexit(c.getenv)
	if err != nil {
		return c.refuse(k.Spec, err, heard)
	}
	grave, err := compat.OpenGrave(k.Dir, k.Name)
	if err != nil {
		return c.refuse(k.Spec, err, heard)
	}
	c.getenv = podOf(k, c.getenv)
	code := c.supervise(k.Spec, argv, heard, func(config *wrapper.Config) {
		config.Known = tombstoneFacts(k.Spec, nil, grave.Since())
		config.Other = func(ctx context.Context, out chan<- lifecycle.Facts) { watchTombstones(ctx, k, grave.Since(), out) }
		config.OnStart = func() {
			if err := grave.Born(time.Now()); err != nil {
				config.Log.Error("tombstone not written", "error", err)
			}
		}
	})
	if err := grave.Died(time.Now(), code); err != nil {
		c.complain("tombstone not written: "+err.Error(), heard.Signals)
	}
	return code
}

// podOf is getenv with the pod's name and namespace as kubexit is told them.
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

// watchTombstones turns tombstones into facts until ctx ends.
func watchTombstones(ctx context.Context, k compat.Kubexit, since time.Time, out chan<- lifecycle.Facts) {
	var names []string
	for _, d := range k.Spec.StopDeps {
		names = append(names, d.Container)
	}
	stones := make(chan map[string]compat.Tombstone)
	go compat.Watch(ctx, k.Dir, names, stones)
	for {
		select {
		case s := <-stones:
			select {
			case out <- tombstoneFacts(k.Spec, s, since):
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// tombstoneFacts is what tombstones say of the death dependencies. One that is
// alive and a birth dependency, too, is the pod's status to know.
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
