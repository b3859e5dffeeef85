package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"koordinator.io/koordinator/test/setup"
)

// fleets lists the numbers of injected pods in the cluster, in ascending order.
var fleets = []int{1000, 10000, 100000}

const (
	enabledNamespaces = 1000
	hands             = 16 // concurrent requests to create objects
	atEase            = 30 * time.Second
	comings           = 50 // pods created and deleted per second
	comingsFor        = 30 * time.Second
)

// fleet is the load of a number of injected pods on the webhook.
type fleet struct {
	pods     int
	spread   int           // number of namespaces of the pods
	resident usage         // at rest, after a restart
	peak     int           // maximum in KiB since that restart
	synced   time.Duration // from the replica's start until its metrics counted all pods
	writes   int           // write requests until it was at rest
	busy     float64       // share of one processor while pods are created and deleted
	created  series        // creation time of each of these pods
}

// installed is the measured cluster, with koordinator.
type installed struct {
	ctx context.Context
	*setup.Cluster
	api        *kubernetes.Clientset
	namespaces int
}

// fleet measures the webhook in a cluster with many pods that are never scheduled.
func (b *bench) fleet(ctx context.Context, c *setup.Cluster) ([]row, error) {
	if b.pods < fleets[0] {
		return nil, fmt.Errorf("-pods %d: at least %d", b.pods, fleets[0])
	}
	if err := errors.Join(c.Images(ctx), c.Install(ctx, "--set", "replicas=1")); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1                                 // no client-side limit: the server controls the rate
	config.WarningHandler = restclient.NoWarnings{} // the same one for each pod
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	s := &installed{ctx, c, api, b.runs(enabledNamespaces)}
	if err := each(s.namespaces, s.enable); err != nil {
		return nil, err
	}
	first := 0
	for _, n := range fleets {
		if n > b.pods {
			break
		}
		n = b.runs(n)
		if err := each(n-first, func(i int) error { return s.create(first + i) }); err != nil {
			return nil, fmt.Errorf("%d pods: %w", n, err)
		}
		first = n
		f, err := s.measure(n)
		if err != nil {
			return nil, fmt.Errorf("%d pods: %w", n, err)
		}
		b.fleets = append(b.fleets, f)
	}
	last := b.fleets[len(b.fleets)-1]
	return []row{{
		fmt.Sprintf("webhook with %d injected pods in %d namespaces", last.pods, s.namespaces),
		fmt.Sprintf("%s at rest, peak %.0f MiB, %.1f s until it counts all pods, %.0f %% of a processor with %d pods a second",
			last.resident, float64(last.peak)/1024, last.synced.Seconds(), 100*last.busy, comings),
		"", fmt.Sprintf("peak ≤ %.1f × at rest, all counted ≤ %.0f s", peakAim, syncAim.Seconds()),
		float64(last.peak) <= peakAim*float64(last.resident.resident) && last.synced <= syncAim,
	}}, nil
}

// Aims for a webhook with many pods.
const (
	peakAim = 1.3 // ratio of the peak to the memory at rest
	syncAim = 60 * time.Second
)

// each calls do with every number below n, several calls at the same time.
func each(n int, do func(i int) error) error {
	var all errgroup.Group
	all.SetLimit(hands)
	for i := range n {
		all.Go(func() error { return do(i) })
	}
	return all.Wait()
}

// enable creates an enabled namespace, and waits for its service account.
func (s *installed) enable(i int) error {
	name := "fleet-" + strconv.Itoa(i)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"koordinator.io/injection": "enabled"}}}
	if _, err := s.api.CoreV1().Namespaces().Create(s.ctx, ns, metav1.CreateOptions{}); err != nil {
		return err
	}
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		_, err := s.api.CoreV1().ServiceAccounts(name).Get(s.ctx, "default", metav1.GetOptions{})
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// create creates a pod that the webhook injects and that is never scheduled.
func (s *installed) create(i int) error {
	_, err := s.api.CoreV1().Pods("fleet-"+strconv.Itoa(i%s.namespaces)).Create(s.ctx, gated(i), metav1.CreateOptions{})
	return err
}

// gated returns a pod that the webhook injects and that is never scheduled.
func gated(i int) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p" + strconv.Itoa(i), Annotations: map[string]string{"koordinator.io/start-deps": "main: proxy", "koordinator.io/stop-deps": "proxy: main"}},
		Spec: corev1.PodSpec{
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "example.com/never"}}, RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{Name: "main", Image: "busybox:1.37", Command: []string{"true"}}, {Name: "proxy", Image: "busybox:1.37", Command: []string{"sleep", "3600"}}},
		},
	}
}

// measure restarts the webhook and measures it: at its start, at rest, and while pods are
// created and deleted.
func (s *installed) measure(n int) (f fleet, err error) {
	f.pods, f.spread = n, s.namespaces
	if _, err := s.Kubectl(s.ctx, "", "-n", setup.Namespace, "delete", "pod", "-l", "app.kubernetes.io/name=koordinator", "--wait"); err != nil {
		return f, err
	}
	began := time.Now()
	for known := 0.0; known != float64(n); time.Sleep(100 * time.Millisecond) {
		if known, err = s.metric("koordinator_pods{", ""); time.Since(began) > gathering {
			return f, fmt.Errorf("the webhook knows of %.0f pods: %w", known, errors.Join(err, context.DeadlineExceeded))
		}
	}
	f.synced = time.Since(began)
	time.Sleep(atEase)
	pid, err := s.webhook()
	if err != nil {
		return f, err
	}
	if f.resident, err = read(pid); err != nil {
		return f, err
	}
	if f.peak, err = statusOf(pid, "VmHWM"); err != nil {
		return f, err
	}
	all, err := s.metric("rest_client_requests_total{", "")
	if err != nil {
		return f, err
	}
	reads, err := s.metric("rest_client_requests_total{", `method="GET"`)
	if err != nil {
		return f, err
	}
	f.writes = int(all - reads)
	used, err := processTime(pid)
	if err != nil {
		return f, err
	}
	began = time.Now()
	if f.created, err = s.comeAndGo(n); err != nil {
		return f, err
	}
	after, err := processTime(pid)
	f.busy = (after - used).Seconds() / time.Since(began).Seconds()
	return f, err
}

// comeAndGo creates and deletes pods at a steady rate, and returns the creation time of each.
func (s *installed) comeAndGo(first int) (took series, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	pace := time.NewTicker(time.Second / comings)
	defer pace.Stop()
	for i := range int(comingsFor.Seconds() * comings) {
		<-pace.C
		all.Go(func() {
			began := time.Now()
			e := s.create(first + i)
			d := time.Since(began)
			if e == nil {
				e = s.api.CoreV1().Pods("fleet-"+strconv.Itoa((first+i)%s.namespaces)).Delete(s.ctx, "p"+strconv.Itoa(first+i), metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
			}
			mu.Lock()
			defer mu.Unlock()
			took, err = append(took, d), errors.Join(err, e)
		})
	}
	all.Wait()
	return took, err
}

// webhook returns the PID of the webhook's only replica.
func (s *installed) webhook() (int, error) {
	id, err := s.Kubectl(s.ctx, "", "-n", setup.Namespace, "get", "pod", "-l", "app.kubernetes.io/name=koordinator", "-o", "jsonpath={.items[0].status.containerStatuses[0].containerID}")
	if err != nil {
		return 0, err
	}
	_, id, _ = strings.Cut(id, "://")
	cgroups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	for _, path := range cgroups {
		text, err := os.ReadFile(path)
		if err == nil && id != "" && strings.Contains(string(text), id) {
			return strconv.Atoi(filepath.Base(filepath.Dir(path)))
		}
	}
	return 0, fmt.Errorf("no process of the webhook's container %q", id)
}

// metric returns the sum of the series of a metric that have a label, from the webhook's
// own metrics.
func (s *installed) metric(name, label string) (sum float64, err error) {
	pod, err := s.Kubectl(s.ctx, "", "-n", setup.Namespace, "get", "pod", "-l", "app.kubernetes.io/name=koordinator", "-o", "jsonpath={.items[0].metadata.name}")
	if err != nil {
		return 0, err
	}
	metrics, err := s.Kubectl(s.ctx, "", "get", "--raw", "/api/v1/namespaces/"+setup.Namespace+"/pods/"+pod+":8080/proxy/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(metrics) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(series, name) || !strings.Contains(series, label) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", line, err)
		}
		sum += n
	}
	return sum, nil
}
