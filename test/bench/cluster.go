package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"koordinator.io/koordinator/test/setup"
)

// Aims for a pod's start on a cluster, over an unmodified pod.
const (
	initAim   = 500 * time.Millisecond
	volumeAim = 50 * time.Millisecond
)

const (
	podRuns   = 20               // measured starts for each kind of pod
	probedFor = 60 * time.Second // how long probes are watched
	probed    = 10               // containers that are probed once a second
	settling  = 10 * time.Second // time until a change on the node has no effect any more
)

// withCluster returns a measurement that runs on the cluster of test/cluster. The cluster
// is started before the measurement and removed after it.
func withCluster(take func(*bench, context.Context, *setup.Cluster) ([]row, error)) func(*bench) ([]row, error) {
	return func(b *bench) (rows []row, err error) {
		ctx := context.Background()
		c, err := setup.Open(ctx, setup.Test, os.Stderr)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, setup.Down(ctx, setup.Test, os.Stderr)) }()
		return take(b, ctx, c)
	}
}

// onCluster takes the measurements that need a kubelet: on one node, with koordinator
// installed by its chart.
func (b *bench) onCluster(ctx context.Context, c *setup.Cluster) (rows []row, err error) {
	if err := c.Images(ctx); err != nil {
		return nil, err
	}
	s := site{ctx, c}
	if _, err := c.Kubectl(ctx, namespaces, "apply", "-f", "-"); err != nil {
		return nil, err
	}
	for _, d := range []struct {
		delivery string
		aim      time.Duration
	}{{"init-container", initAim}, {"image-volume", volumeAim}} {
		if err := c.Install(ctx, "--set", "delivery="+d.delivery); err != nil {
			return nil, err
		}
		r, err := s.created(b.runs(podRuns), d.delivery, d.aim)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	r, err := s.probes()
	return append(rows, r), err
}

// site is the measured cluster.
type site struct {
	ctx context.Context
	*setup.Cluster
}

const namespaces = `
{apiVersion: v1, kind: Namespace, metadata: {name: plain}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: enabled, labels: {koordinator.io/injection: enabled}}}
`

// The pods whose start is measured. The container main prints the machine's uptime when it begins.
const (
	sleeping = `image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]`
	began    = `{name: main, image: "busybox:1.37", command: [sh, -c, "read at _ </proc/uptime; echo began $at"]}`
)

// shapes lists the compared kinds of pods, with their namespaces. Each pod has two
// containers, and main does not wait for anything.
var shapes = []struct{ name, namespace, annotations, spec string }{
	{"unmodified", "plain", "", `containers: [` + began + `, {name: side, ` + sleeping + `}]`},
	{"native sidecar", "plain", "", `initContainers: [{name: side, restartPolicy: Always, ` + sleeping + `}], containers: [` + began + `]`},
	{"koordinator", "enabled", `koordinator.io/stop-deps: "side: main"`, `containers: [` + began + `, {name: side, ` + sleeping + `}]`},
}

// created measures from the creation of a pod to the first instruction of its
// main container's command.
func (s site) created(runs int, delivery string, aim time.Duration) (row, error) {
	var subjects []*subject
	for _, shape := range shapes {
		subjects = append(subjects, &subject{name: shape.name, run: func() (cost, error) {
			took, err := s.first(shape.namespace, fmt.Sprintf("{apiVersion: v1, kind: Pod, metadata: {name: measured, annotations: {%s}}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 5, %s}}", shape.annotations, shape.spec))
			return cost{time: took}, err
		}})
	}
	if err := compare(runs, subjects); err != nil {
		return row{}, err
	}
	plain, sidecar, ours := subjects[0], subjects[1], subjects[2]
	over := ours.median() - plain.median()
	return row{
		"pod created → first process, over an unmodified pod, " + delivery,
		fmt.Sprintf("%s (all in all %s)", ms(over), ours.spread()),
		fmt.Sprintf("unmodified %s, native sidecar %s", plain.spread(), sidecar.spread()),
		"≤ " + ms(aim), over <= aim,
	}, nil
}

// first returns the time from a pod's creation until its command began.
func (s site) first(namespace, manifest string) (time.Duration, error) {
	at, err := uptime()
	if err != nil {
		return 0, err
	}
	if _, err := s.Kubectl(s.ctx, manifest, "-n", namespace, "create", "-f", "-"); err != nil {
		return 0, err
	}
	defer s.Kubectl(s.ctx, "", "-n", namespace, "delete", "pod", "measured", "--wait") // otherwise, the next pod could not be created
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		out, err := s.Kubectl(s.ctx, "", "-n", namespace, "logs", "measured", "-c", "main")
		if _, text, said := strings.Cut(out, "began "); err == nil && said {
			line, _, _ := strings.Cut(text, "\n") // the wrapper's log follows
			began, err := seconds(strings.TrimSpace(line))
			return began - at, err
		}
	}
	return 0, fmt.Errorf("the pod in %s has not begun", namespace)
}

// uptime returns the machine's uptime.
func uptime() (time.Duration, error) {
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	text, _, _ := strings.Cut(string(data), " ")
	return seconds(text)
}

func seconds(text string) (time.Duration, error) {
	s, err := strconv.ParseFloat(text, 64)
	return time.Duration(s * float64(time.Second)), err
}

// The compared probes of a container that serves HTTP: the pod's own probes, and
// koordinator's replacement of them.
var probes = []struct{ name, namespace, probe string }{
	{"no probe", "plain", ``},
	{"httpGet", "plain", `livenessProbe: {periodSeconds: 1, timeoutSeconds: 30, httpGet: {path: /, port: %d}}`},
	{"exec of a program that does nothing", "plain", `livenessProbe: {periodSeconds: 1, timeoutSeconds: 30, exec: {command: ["true"]}}`},
	{"koordinator", "enabled", `livenessProbe: {periodSeconds: 1, timeoutSeconds: 30, httpGet: {path: /, port: %d}}`},
}

// probes measures the processor time of the whole node for each probe, compared with the
// same pod without probes.
func (s site) probes() (row, error) {
	cost := map[string]time.Duration{}
	for _, p := range probes {
		busy, err := s.busy(p.namespace, p.probe)
		if err != nil {
			return row{}, fmt.Errorf("%s: %w", p.name, err)
		}
		cost[p.name] = busy
	}
	each := func(name string) string {
		return ms((cost[name] - cost["no probe"]) / (probed * (probedFor / time.Second)))
	}
	return row{
		"a liveness probe (httpGet) that is replaced, processor time of the node",
		each("koordinator"),
		fmt.Sprintf("the kubelet's own httpGet %s, exec of a program that does nothing %s", each("httpGet"), each("exec of a program that does nothing")),
		"", false,
	}, nil
}

// busy returns the processor time that the machine uses while such a pod runs.
func (s site) busy(namespace, probe string) (time.Duration, error) {
	var containers, stops []string
	for i := range probed {
		p := probe
		if strings.Contains(p, "%d") {
			p = fmt.Sprintf(p, 8000+i)
		}
		containers = append(containers, fmt.Sprintf(`{name: c%d, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; echo ok >/tmp/index.html; httpd -p %d -h /tmp; sleep 3600 & wait"], %s}`, i, 8000+i, p))
		if i > 0 {
			stops = append(stops, fmt.Sprintf("c%d: c0", i))
		}
	}
	manifest := fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: probed, annotations: {koordinator.io/stop-deps: "{%s}"}}, spec: {terminationGracePeriodSeconds: 5, containers: [%s]}}`,
		strings.Join(append(stops, "c0: c1"), ", "), strings.Join(containers, ", "))
	if _, err := s.Kubectl(s.ctx, manifest, "-n", namespace, "create", "-f", "-"); err != nil {
		return 0, err
	}
	defer s.Kubectl(s.ctx, "", "-n", namespace, "delete", "pod", "probed", "--wait") // otherwise, the next pod could not be created
	if _, err := s.Kubectl(s.ctx, "", "-n", namespace, "wait", "--for=condition=Ready", "pod/probed", "--timeout=5m"); err != nil {
		return 0, err
	}
	time.Sleep(settling)
	before, err := busyTime()
	if err != nil {
		return 0, err
	}
	time.Sleep(probedFor)
	after, err := busyTime()
	return after - before, err
}

// busyTime returns the non-idle processor time since the machine was started (proc_stat(5):
// user, nice, system, idle, iowait, irq, softirq, in hundredths of a second).
func busyTime() (time.Duration, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	var busy time.Duration
	for i, field := range strings.Fields(line)[1:8] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		if i != 3 && i != 4 {
			busy += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return busy, nil
}
