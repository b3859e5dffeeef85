package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/test/pod"
	"koordinator.io/koordinator/wrapper/spec"
)

// Aims for the time from an event in one container to its effect in another.
const (
	stopAim   = 400 * time.Microsecond
	worstAim  = 1500 * time.Microsecond // 99th percentile
	readyAim  = 6 * time.Millisecond
	noticeAim = 1500 * time.Microsecond // with READY=1 instead of a probe
)

// patience is the timeout for each step.
const patience = 20 * time.Second

// kubexitFigure is a result of kubexit from another run, on a real cluster with both
// containers of a pod under kubexit. It is not measured here.
const kubexitFigure = "kubexit 2.5–3.5 ms (another run, on a cluster)"

// stop measures the time from a peer's exit to the command's SIGTERM, through records.
func (b *bench) stop() ([]row, error) {
	var took series
	for range b.runs(1000) {
		d, err := b.stopOnce()
		if err != nil {
			return nil, err
		}
		took = append(took, d)
	}
	return []row{{
		"another container exits → the command gets SIGTERM",
		fmt.Sprintf("%s, p99 %s, worst of %d %s", ms(took.median()), ms(took.at(0.99)), len(took), ms(took.worst())),
		kubexitFigure,
		fmt.Sprintf("≤ %s, p99 ≤ %s", ms(stopAim), ms(worstAim)),
		took.median() <= stopAim && took.at(0.99) <= worstAim,
	}}, nil
}

// stopOnce runs a pod of a main container and its sidecar.
func (b *bench) stopOnce() (time.Duration, error) {
	p, err := pod.New(b.binary)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	sidecar, err := p.Start(pod.Container{
		Name: "sidecar", Command: []string{b.part, "until", strconv.Itoa(int(syscall.SIGTERM))},
		Spec: specOf(func(s *spec.Spec) {
			s.Container, s.Source, s.Wrapped = "sidecar", spec.SourceLocal, []string{"main"}
			s.StopDeps = []spec.Dependency{{Container: "main", Condition: spec.Exited}}
		}),
	})
	if err != nil {
		return 0, err
	}
	main, err := p.Start(pod.Container{
		Name: "main", Command: []string{b.part, "until", strconv.Itoa(int(syscall.SIGUSR1))},
		Spec: specOf(func(s *spec.Spec) { s.Container, s.Source = "main", spec.SourceLocal }),
	})
	if err != nil {
		return 0, err
	}
	for _, r := range []*pod.Running{main, sidecar} {
		if err := says(r, "up\n"); err != nil {
			return 0, err
		}
	}
	time.Sleep(settle)
	if err := main.Signal(syscall.SIGUSR1); err != nil {
		return 0, err
	}
	if err := ended(sidecar); err != nil {
		return 0, err
	}
	exited, err := clock(main)
	if err != nil {
		return 0, err
	}
	stopped, err := clock(sidecar)
	return time.Duration(stopped - exited), err
}

// ready measures the time from the moment a peer is ready to the start of the command:
// when it can answer a probe, and when it says so itself.
func (b *bench) ready() (rows []row, err error) {
	for _, m := range []struct {
		row
		once func() (time.Duration, error)
		most time.Duration
	}{
		{row{what: "another container can answer its readiness probe → the command runs", against: "the kubelet: up to periodSeconds (10 s) and more"}, b.probedOnce, readyAim},
		{row{what: "another container sends READY=1 → the command runs"}, b.reportedOnce, noticeAim},
	} {
		var took series
		for range b.runs(100) {
			d, err := m.once()
			if err != nil {
				return nil, err
			}
			took = append(took, d)
		}
		m.ours, m.aim, m.met = took.spread(), "≤ "+ms(m.most), took.median() <= m.most
		rows = append(rows, m.row)
	}
	return rows, nil
}

// probedOnce runs a pod whose proxy listens late and has a readiness probe.
func (b *bench) probedOnce() (time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	return b.waited([]string{"listen", strconv.Itoa(port)}, func(proxy *spec.Spec) {
		proxy.ReadyProbes = []spec.Probe{{Handler: spec.Handler{TCP: &spec.TCPSocket{Port: port}}}}
	})
}

// reportedOnce runs a pod whose proxy reports late that it is ready.
func (b *bench) reportedOnce() (time.Duration, error) {
	return b.waited([]string{"report"}, func(proxy *spec.Spec) { proxy.ReadyWhen = spec.ReadyByNotice })
}

// waited runs a pod of a proxy and a container that waits until the proxy is ready. It
// returns the time between the time stamps of the two.
func (b *bench) waited(play []string, change func(proxy *spec.Spec)) (time.Duration, error) {
	p, err := pod.New(b.binary)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	late := 150*time.Millisecond + rand.N(100*time.Millisecond) // random, so that the runs are not synchronized with the probe
	proxy, err := p.Start(pod.Container{
		Name: "proxy", Command: append(append([]string{b.part}, play...), strconv.FormatInt(late.Milliseconds(), 10)), Env: []string{spec.EnvPodIP + "=127.0.0.1"},
		Spec: specOf(func(s *spec.Spec) {
			s.Container, s.Source = "proxy", spec.SourceLocal
			change(s)
		}),
	})
	if err != nil {
		return 0, err
	}
	main, err := p.Start(pod.Container{
		Name: "main", Command: []string{b.part, "now"},
		Spec: specOf(func(s *spec.Spec) {
			s.Container, s.Source, s.Wrapped = "main", spec.SourceLocal, []string{"proxy"}
			s.StartDeps = []spec.Dependency{{Container: "proxy", Condition: spec.Ready}}
		}),
	})
	if err != nil {
		return 0, err
	}
	if err := ended(main); err != nil {
		return 0, fmt.Errorf("%w; the proxy's log: %s", err, proxy.Stderr())
	}
	ready, err := clock(proxy)
	if err != nil {
		return 0, err
	}
	running, err := clock(main)
	return time.Duration(running - ready), err
}

// freePort returns a port that no process listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// says waits until a container's command has written a text.
func says(r *pod.Running, text string) error { return writes(r, r.Stdout, text) }

// writes waits until a container has written a text to one of its outputs.
func writes(r *pod.Running, output func() string, text string) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if strings.Contains(output(), text) {
			return nil
		}
	}
	return fmt.Errorf("never wrote %q; its log: %s", text, r.Stderr())
}

// ended waits for a container's end.
func ended(r *pod.Running) error {
	select {
	case <-r.Done():
		return nil
	case <-time.After(patience):
		return fmt.Errorf("does not end; its log: %s", r.Stderr())
	}
}

// clock returns the time on the last line that a container has written.
func clock(r *pod.Running) (int64, error) {
	lines := strings.Fields(r.Stdout())
	if len(lines) == 0 {
		return 0, fmt.Errorf("printed no time; its log: %s", r.Stderr())
	}
	return strconv.ParseInt(lines[len(lines)-1], 10, 64)
}
