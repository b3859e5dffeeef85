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
// its own command, if the pod's grace period is not known.
const othersTimeout = 30 * time.Second

// proa runs a command according to proa's command line: after all other
// containers are ready. After the command has exited, it stops the other
// containers.
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

// hostPod returns getenv with the pod's name and namespace as proa finds them:
// a pod's host name is its name, and the namespace is in a file next to the
// token.
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

// proaRun is the part of a proa invocation around the supervision of its
// command.
type proaRun struct {
	log     *slog.Logger
	signals <-chan os.Signal
	api     podstatus.Config
	network spec.Network
	pod     chan podstatus.Snapshot // receives snapshots while the pod is watched
	last    podstatus.Snapshot
	others  []string // the other regular containers
}

// watch watches the pod until stop is called. stop returns after the network
// program has exited; otherwise the wrapper's loop, which reaps every process,
// would take its exit.
func (r *proaRun) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.api.Watch(ctx, r.network, r.log, r.pod)
	}()
	return func() { cancel(); <-over }
}

// find waits until the pod's containers are known. It returns false if a stop
// request arrives first.
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

// others returns the regular containers except this one, whose name is in the
// mount of its termination message. If it cannot be found there, this container
// is in the list: it is ready as soon as it runs, and at the end is waited for
// in vain.
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

// end stops the other containers, if signals are to do that, and waits until
// they have exited or a stop request arrives.
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
		most = cmp.Or(c.Grace, most) // the pod's, which is the same for each container
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
