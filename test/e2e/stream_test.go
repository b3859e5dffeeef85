//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// rate is the number of pods that a stream creates per second, if the machine is fast enough.
const rate = 20

// injectedLabel is the label of every injected pod.
const injectedLabel = "koordinator.io/injected=true"

// stream creates annotated pods at a steady rate, whatever happens to the webhook
// meanwhile. Each pod has its own goroutine, so that a slow request does not delay the
// others.
type stream struct {
	api   kubernetes.Interface
	ns    string
	mode  metav1.CreateOptions
	began time.Time
	quit  func()
	over  <-chan struct{}
	done  sync.WaitGroup

	mu       sync.Mutex
	created  int
	slowest  time.Duration
	problems []string
}

// startStream begins to create pods in a namespace, which must be enabled. If dry is set,
// it uses dry runs.
func startStream(t *testing.T, ns string, dry bool) *stream {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1 // no client-side limit
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, quit := context.WithCancel(t.Context()) // ends with the test at the latest
	s := &stream{api: api, ns: ns, quit: quit, over: ctx.Done()}
	answers(t, s)
	if dry {
		s.mode.DryRun = []string{metav1.DryRunAll}
	}
	s.began = time.Now()
	s.done.Go(s.run)
	return s
}

// answers waits until the Service routes only to replicas that answer, which the API server
// does not report. A second's worth of pods must pass in a dry run.
func answers(t *testing.T, s *stream) {
	t.Helper()
	eventually(t, "the webhook to answer", func() (bool, string) {
		for range rate {
			pod, err := s.api.CoreV1().Pods(s.ns).Create(t.Context(), heldPod(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil || pod.Labels["koordinator.io/injected"] != "true" {
				return false, fmt.Sprint(err)
			}
		}
		return true, ""
	})
}

func (s *stream) run() {
	ticks := time.NewTicker(time.Second / rate)
	defer ticks.Stop()
	for {
		select {
		case <-s.over:
			return
		case <-ticks.C:
			s.done.Go(s.create)
		}
	}
}

// create creates a pod and checks the response.
func (s *stream) create() {
	began := time.Now()
	pod, err := s.api.CoreV1().Pods(s.ns).Create(context.Background(), heldPod(), s.mode)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created++
	s.slowest = max(s.slowest, took)
	at := began.Sub(s.began).Round(10 * time.Millisecond)
	switch {
	case err != nil:
		s.problems = append(s.problems, fmt.Sprintf("%s: not created: %v", at, err))
	case pod.Labels["koordinator.io/injected"] != "true":
		s.problems = append(s.problems, fmt.Sprintf("%s: %s is not injected", at, pod.Name))
	}
}

// heldPod returns an annotated pod that is never scheduled.
func heldPod() *corev1.Pod {
	container := func(name string) corev1.Container {
		return corev1.Container{Name: name, Image: "busybox:1.37", Command: []string{"sleep", "1"}}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "held-",
			Annotations:  map[string]string{"koordinator.io/start-deps": "main: proxy"},
		},
		Spec: corev1.PodSpec{
			Containers:      []corev1.Container{container("main"), container("proxy")},
			SchedulingGates: []corev1.PodSchedulingGate{{Name: "koordinator.io/held"}},
		},
	}
}

// stop stops the stream and returns what went wrong.
func (s *stream) stop(t *testing.T) []string {
	t.Helper()
	s.quit()
	s.done.Wait()
	lasted := time.Since(s.began)
	t.Logf("%d pods in %s, %.1f/s, the slowest took %s", s.created, lasted.Round(time.Second), float64(s.created)/lasted.Seconds(), s.slowest.Round(time.Millisecond))
	if s.created < rate {
		t.Errorf("too few pods to say anything, want at least %d", rate)
	}
	return s.problems
}

// end stops the stream. Every pod must have been created and injected.
func (s *stream) end(t *testing.T) {
	t.Helper()
	problems := s.stop(t)
	for i, p := range problems {
		if i == 10 {
			t.Errorf("and %d more, the last %s", len(problems)-i, problems[len(problems)-1])
			return
		}
		t.Error(p)
	}
}

// endReal stops a stream that uses no dry run, checks all its pods as stored, and removes them.
func (s *stream) endReal(t *testing.T) {
	t.Helper()
	s.end(t)
	pods := s.api.CoreV1().Pods(s.ns)
	all, err := pods.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	injected, err := pods.List(t.Context(), metav1.ListOptions{LabelSelector: injectedLabel})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != s.created || len(injected.Items) != s.created {
		t.Errorf("%d pods were created, %d are there, %d of them injected", s.created, len(all.Items), len(injected.Items))
	}
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	if err := pods.DeleteCollection(t.Context(), now, metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
}
