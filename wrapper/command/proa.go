package command

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper"
	"koordinator.io/koordinator/wrapper/compat"
	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/process"
	"koordinator.io/koordinator/wrapper/spec"
)

// othersTimeout is how long proa waits for the other containers to exit after
// its own command has, where the pod's grace period is not known.
const othersTimeout = 30 * time.Second

// proa runs a command as proa's command line says: when all other containers
// are ready, and ends them after it.
func (c command) proa() int {
	heard := process.Signals()
	p, err := compat.ParseProa(c.args, c.getenv)
	switch {
	case err != nil:
		return c.refuse(p.Spec, err, heard)
	case p.Help:
		fmt.Fprint(c.stdout, compat.ProaUsage)
		return 0
	case p.Version:
		fmt.Fprintln(c.stdout, "koordinator", spec.Release)
		return 0
	}
	c.getenv = hostPod(c.getenv)
	api, err := c.api(c.getenv)
	if err != nil {
		return c.refuse(p.Spec, err, heard)
	}
	out := newLogWriter(c.stderr)
	log := logger(out, p.Spec)
	api.LogLevel = p.Spec.LogLevel
	run := proaRun{log: log, signals: heard.Signals, api: api, network: c.network, pod: make(chan podstatus.Snapshot)}
	if !run.find() {
		out.flush()
		return spec.ExitStopped
	}
	code := c.supervise(wrapper.Config{Spec: p.WaitFor(run.others)}, p.Command, heard)
	run.end(p, heard.Children)
	out.flush()
	return code
}

// hostPod is getenv with the pod's name and namespace as proa finds them: a
// pod's host name is its name, and the namespace lies beside the token.
func hostPod(getenv func(string) string) func(string) string {
	return func(name string) string {
		if value := getenv(name); value != "" {
			return value
		}
		switch name {
		case spec.EnvPodName:
			host, _ := os.Hostname()
			pod, _, _ := strings.Cut(host, ".")
			return pod
		case spec.EnvPodNamespace:
			namespace, _ := os.ReadFile(filepath.Join(spec.APIAccess, "namespace"))
			return strings.TrimSpace(string(namespace))
		}
		return ""
	}
}

// proaRun is what surrounds the supervision of proa's command.
type proaRun struct {
	log     *slog.Logger
	signals <-chan os.Signal
	api     podstatus.Config
	network spec.Network
	pod     chan podstatus.Snapshot // while it is watched
	last    podstatus.Snapshot
	others  []string // the other regular containers
}

// watch watches the pod until stop is called, which returns when the network
// program is gone: the wrapper's loop, which reaps every process, would take its
// exit.
func (r *proaRun) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.api.Watch(ctx, r.network, r.log, r.pod)
	}()
	return func() { cancel(); <-over }
}

// find waits until it is known which containers the pod has, and reports
// whether nobody asked us to stop before.
func (r *proaRun) find() bool {
	defer r.watch()()
	for {
		select {
		case s := <-r.pod:
			r.last, r.others = s, others(s)
			return true
		case s := <-r.signals:
			if isStop(s) {
				return false
			}
		}
	}
}

// others are the regular containers but our own, whose name the mount of its
// termination message tells. Where nothing tells it we are among them: ready as
// soon as we run, and waited for in vain at the end.
func others(s podstatus.Snapshot) []string {
	own := ""
	if f, err := os.Open("/proc/self/mountinfo"); err == nil {
		own, _ = compat.OwnContainer(f)
		f.Close()
	}
	var names []string
	for name, c := range s {
		if !c.Init && name != own {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// end stops the other containers as far as signals are to do it, and waits
// until they have exited, or somebody asks us to stop.
func (r *proaRun) end(p compat.Proa, children <-chan os.Signal) {
	if p.KillAll || len(p.KillNames) > 0 {
		n, err := compat.Kill(p.KillNames, p.KillAll, syscall.SIGTERM)
		r.log.Info("signalled other containers", "signal", "SIGTERM", "processes", n, "error", err)
	}
	if len(r.others) == 0 {
		return
	}
	defer r.watch()()
	most := othersTimeout
	for _, c := range r.last {
		most = cmp.Or(c.Grace, most) // the pod's, and the same for each
	}
	over := time.After(most)
	runs := func(name string) bool { return r.last[name].Runs }
	for known := false; !known || slices.ContainsFunc(r.others, runs); {
		select {
		case r.last = <-r.pod:
			known = true
		case s := <-r.signals:
			if isStop(s) {
				return
			}
		case <-children:
			process.Reap()
		case <-over:
			r.log.Error("other containers still run", "after", most)
			return
		}
	}
}

func isStop(s os.Signal) bool {
	return s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGQUIT
}
