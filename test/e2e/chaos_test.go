//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/chaos"
)

// fewest is the number of random pods that run at the same time on a machine that is never idle.
const fewest = 6

// TestRandomPods runs the pods for the seeds 1 to 40, as many at a time as the machine
// allows, while the kubelet and containerd are restarted. It compares the result of each
// pod with the documentation. CHAOS is a duration, for example 30m, in which the test runs
// as many other pods as possible.
func TestRandomPods(t *testing.T) {
	seeds := make(chan uint64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go sow(ctx, t, seeds)
	ns := namespace(t, enabled)
	var restarts, pods sync.WaitGroup
	var past outages
	restarts.Go(func() { restartParts(ctx, t, &past) })
	var ran, refused, running atomic.Int64
	var next sync.Mutex // held by the worker that starts the next pod
	for range most {
		pods.Go(func() {
			for seed := range seeds {
				next.Lock()
				for running.Load() >= fewest && idle(t) < spare {
					continue // idle itself takes a second
				}
				running.Add(1)
				next.Unlock()
				if randomPod(t, ns, seed, &past) {
					ran.Add(1)
				} else {
					refused.Add(1)
				}
				running.Add(-1)
			}
		})
	}
	pods.Wait()
	cancel()
	restarts.Wait()
	t.Logf("%d pods ran, %d were refused", ran.Load(), refused.Load())
	if ran.Load() < 20 {
		t.Errorf("only %d pods ran", ran.Load())
	}
}

// sow sends the seeds.
func sow(ctx context.Context, t *testing.T, seeds chan<- uint64) {
	defer close(seeds)
	first, count, over := uint64(1), 40, (<-chan time.Time)(nil)
	if text := os.Getenv("CHAOS"); text != "" {
		most, err := time.ParseDuration(text)
		if err != nil {
			t.Error(err)
			return
		}
		first, count, over = uint64(time.Now().UnixNano()), 1<<30, time.After(most)
	}
	for i := range uint64(count) {
		select {
		case seeds <- first + i:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// outages records the restarts of the kubelet and containerd.
type outages struct {
	mu    sync.Mutex
	spans []chaos.Span
}

// during runs a restart and records its time.
func (o *outages) during(t *testing.T, restart func() error) error {
	o.mu.Lock()
	o.spans = append(o.spans, chaos.Span{Begin: uptime(t), End: math.MaxInt64 / 2})
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.spans[len(o.spans)-1].End = uptime(t)
	}()
	return restart()
}

// all returns the restarts that have begun.
func (o *outages) all() []chaos.Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.spans)
}

// restartParts restarts the kubelet and containerd, one after another, until ctx ends.
func restartParts(ctx context.Context, t *testing.T, past *outages) {
	pace := time.NewTicker(20 * time.Second)
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		err := past.during(t, func() error {
			return cluster.Control(context.WithoutCancel(ctx), "restart", []string{"kubelet", "containerd"}[i%2])
		})
		if err != nil {
			t.Errorf("restart: %v", err)
		}
		pace.Reset(20 * time.Second) // so that the kubelet can finish what this restart left
	}
}

// randomPod runs the pod for a seed and checks it. It returns false for a pod that is rejected.
func randomPod(t *testing.T, ns string, seed uint64, past *outages) bool {
	p := chaos.New(seed)
	name := "chaos-" + strconv.FormatUint(seed, 10)
	directory := filepath.Join(os.TempDir(), "koordinator-"+ns, name)
	defer os.RemoveAll(directory)
	_, err := try(t, p.Manifest(name, directory), "-n", ns, "apply", "-f", "-")
	for tries := 0; tries < 60 && err != nil && strings.Contains(err.Error(), "failed calling webhook") && len(past.all()) > 0; tries++ {
		time.Sleep(time.Second) // before Kubernetes 1.35, no pod is ready after a restart of the kubelet
		_, err = try(t, p.Manifest(name, directory), "-n", ns, "apply", "-f", "-")
	}
	if err != nil {
		if strings.Contains(err.Error(), "koordinator.io/st") {
			return false
		}
		t.Errorf("seed %d: %v\n%s", seed, err, p.Manifest(name, directory))
		return false
	}
	s := chaos.Story{Pod: p}
	happen(t, ns, name, &s)
	s.Events, s.Outages = events(t, filepath.Join(directory, "log")), past.all()
	if wrong := s.Violations(); len(wrong) > 0 {
		var lines []string
		for _, e := range s.Events {
			lines = append(lines, fmt.Sprint(e.At, " ", e.Who, " ", e.What))
		}
		t.Errorf("seed %d, %s, deleted at %s, killed at %s:\n%s\n\n%s\n%s\nfates %+v", seed, p.Mishap, s.Deleted, s.Killed,
			strings.Join(wrong, "\n"), strings.Join(lines, "\n"), p.Manifest(name, directory), s.Fates)
	}
	return true
}

// happen waits for the mishap and for the pod's end. A pod that does not end by itself is
// deleted when no more changes are expected.
func happen(t *testing.T, ns, name string, s *chaos.Story) {
	time.Sleep(s.Pod.After) // the time of the mishap is a property of the pod
	if s.Pod.Mishap == chaos.Kill {
		s.Killed = killWrapper(t, ns, name, s.Pod.Victim)
	}
	if s.Pod.Mishap != chaos.Delete {
		ended := quiet(t, ns, name)
		s.Fates = fates(ended)
		s.Over = ended.Status.Phase == corev1.PodSucceeded || ended.Status.Phase == corev1.PodFailed
		if s.Over {
			_, _ = try(t, "", "-n", ns, "delete", "pod", name, "--wait=false")
			return
		}
	}
	s.Deleted = uptime(t)
	_, err := try(t, "", "-n", ns, "delete", "pod", name, "--wait=false", "--grace-period="+strconv.Itoa(int(s.Pod.Grace.Seconds())))
	s.Heard = uptime(t)
	if err == nil {
		_, err = try(t, "", "-n", ns, "wait", "pod", name, "--for=delete", "--timeout=5m")
	}
	s.Over = err == nil
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// quiet waits until the pod has ended or has not changed for a while. In the latter case,
// all remaining containers run indefinitely, or wait for one that does. A pod with
// containers that end again and again may never be quiet, because each restart of the
// kubelet resets their back-off, so quiet looks at it a limited number of times.
func quiet(t *testing.T, ns, name string) corev1.Pod {
	var last corev1.Pod
	same := 0
	for looks := 0; same < 12 && looks < 120; looks++ {
		time.Sleep(time.Second)
		pod, err := podNamed(t, ns, name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return last
		}
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return pod
		}
		if pod.ResourceVersion == last.ResourceVersion && pod.Status.Phase == corev1.PodRunning {
			same++
		} else {
			same = 0
		}
		last = pod
	}
	return last
}

// podNamed returns a pod by its name.
func podNamed(t *testing.T, ns, name string) (pod corev1.Pod, err error) {
	out, err := try(t, "", "-n", ns, "get", "pod", name, "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &pod)
	}
	return pod, err
}

func fates(pod corev1.Pod) map[string]chaos.Fate {
	all := map[string]chaos.Fate{}
	for _, c := range pod.Status.ContainerStatuses {
		f := chaos.Fate{Waiting: c.State.Waiting != nil, Restarts: int(c.RestartCount)}
		if e := c.State.Terminated; e != nil {
			f.Ended, f.Code = true, int(e.ExitCode)
			f.Lost, f.Unstarted = e.Reason == "Unknown", e.Reason == "StartError" // containerd's reasons
		}
		all[c.Name] = f
	}
	return all
}

// killWrapper kills the first process of a container, if it runs, and returns the time.
func killWrapper(t *testing.T, ns, name, victim string) time.Duration {
	pod, err := podNamed(t, ns, name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return 0
	}
	for _, c := range pod.Status.ContainerStatuses {
		_, id, _ := strings.Cut(c.ContainerID, "://")
		if c.Name != victim || c.State.Running == nil || id == "" {
			continue
		}
		for _, p := range processes(t, id) {
			if p.inner == 1 {
				at := uptime(t)
				if err := unix.Kill(p.pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					t.Errorf("%s: %v", name, err)
				}
				return at
			}
		}
	}
	return 0
}

// uptime returns the current time in the form of the times in the containers' events.
func uptime(t *testing.T) time.Duration { return time.Since(machineStart(t)) }

func events(t *testing.T, path string) []chaos.Event {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // possibly no command has run
		t.Error(err)
	}
	all, err := chaos.Parse(string(data))
	if err != nil {
		t.Error(err)
	}
	return all
}
