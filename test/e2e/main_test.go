//go:build e2e

// Package e2e tests koordinator on a real cluster: a real API server, kubelet
// and containers, with the images of the Dockerfiles and the chart, used by
// kubectl as a user would.
//
//	go test -tags e2e ./test/e2e
//
// KOORDINATOR_CLUSTER names the cluster of test/cluster it makes and removes
// ("koordinator-e2e" by default); KEEP=1 leaves it up.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/setup"
)

// abreast is how many tests run at the same time. They wait, most of the time:
// go test's own measure, the number of processors, is too small.
const abreast = 8

// cluster is what all tests run on. TestMain sets it before they do.
var cluster *setup.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("KOORDINATOR_CLUSTER") == "" {
		os.Setenv("KOORDINATOR_CLUSTER", "koordinator-e2e")
	}
	ctx := context.Background()
	if os.Getenv("KEEP") == "" {
		defer func() {
			if err := setup.Down(ctx, setup.Test, os.Stderr); err != nil {
				fmt.Fprintln(os.Stderr, "e2e:", err)
			}
		}()
	}
	if err := prepare(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(abreast)); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return m.Run()
}

// forTests are settings of the chart: replicas that go sooner, and a registry
// of the tests' own.
var forTests = []string{"--set", "webhook.drainSeconds=3", "--set", "registry.plainHTTP={" + registryHost + "}"}

func prepare(ctx context.Context) error {
	c, err := setup.Open(ctx, setup.Test, os.Stderr)
	if err != nil {
		return err
	}
	if err := c.Images(ctx); err != nil {
		return err
	}
	if err := c.Install(ctx, forTests...); err != nil {
		return err
	}
	cluster = c
	return nil
}

// enabled is the label that opts a namespace in.
const enabled = "koordinator.io/injection=enabled"

// unfit is what a namespace's name cannot have.
var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// namespace makes one for a test, with the labels given, and removes it
// afterwards. What it held is shown when the test failed.
func namespace(t *testing.T, labels ...string) string {
	t.Helper()
	name := unfit.ReplaceAllString(strings.ToLower(t.Name()), "-")
	if len(name) > 50 {
		name = name[:50]
	}
	name += fmt.Sprintf("-%04x", rand.N(1<<16)) // an earlier run's may still be going
	kubectl(t, "create", "namespace", name)
	for _, l := range labels {
		kubectl(t, "label", "namespace", name, l)
	}
	t.Cleanup(func() {
		if t.Failed() {
			show(t, name)
		}
		kubectl(t, "delete", "namespace", name, "--wait=false")
	})
	eventually(t, 20*time.Second, "the default service account", func() (bool, string) {
		_, err := cluster.Kubectl(t.Context(), "", "-n", name, "get", "serviceaccount", "default")
		return err == nil, fmt.Sprint(err)
	})
	return name
}

func show(t *testing.T, ns string) {
	for _, args := range [][]string{
		{"get", "job,pod", "-o", "wide"},
		{"get", "events", "--sort-by=.lastTimestamp"},
		{"get", "pod", "-o", "json"},
		{"logs", "-l", "e2e", "--all-containers", "--prefix", "--timestamps", "--tail=100"},
	} {
		out, err := cluster.Kubectl(context.Background(), "", append([]string{"-n", ns}, args...)...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// kubectl runs kubectl, which must succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(context.Background(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies a manifest as a user does.
func apply(t *testing.T, ns, manifest string) {
	t.Helper()
	if _, err := cluster.Kubectl(t.Context(), manifest, "-n", ns, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until check says true; what it says last explains a failure.
func eventually(t *testing.T, most time.Duration, what string, check func() (bool, string)) {
	t.Helper()
	var last string
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var ok bool
		if ok, last = check(); ok {
			return
		}
	}
	t.Fatalf("waited %s for %s; last: %s", most, what, last)
}

// pods are the pods that a selector finds.
func pods(t *testing.T, ns, selector string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := json.Unmarshal([]byte(kubectl(t, "-n", ns, "get", "pod", "-l", selector, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// job waits until the Job has ended and returns its only pod and the condition.
func job(t *testing.T, ns, name string) (corev1.Pod, string) {
	t.Helper()
	var ended string
	eventually(t, 90*time.Second, "the end of the Job", func() (bool, string) {
		ended = kubectl(t, "-n", ns, "get", "job", name, "-o", `jsonpath={range .status.conditions[?(@.status=="True")]}{.type} {end}`)
		return strings.Contains(ended, "Complete ") || strings.Contains(ended, "Failed "), ended
	})
	found := pods(t, ns, "job-name="+name)
	if len(found) != 1 {
		t.Fatalf("the Job has %d pods, want 1", len(found))
	}
	if strings.Contains(ended, "Complete ") {
		return found[0], "Complete"
	}
	return found[0], "Failed"
}

// status is a container's status in a pod.
func status(t *testing.T, pod corev1.Pod, name string) corev1.ContainerStatus {
	t.Helper()
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("pod %s has no status of container %s", pod.Name, name)
	return corev1.ContainerStatus{}
}

// terminated is how a container ended, which it must have.
func terminated(t *testing.T, pod corev1.Pod, name string) corev1.ContainerStateTerminated {
	t.Helper()
	s := status(t, pod, name)
	if s.State.Terminated == nil {
		t.Fatalf("container %s has not ended: %+v", name, s.State)
	}
	return *s.State.Terminated
}

// output is a container's log, line by line with the runtime's timestamps.
type output struct {
	container string
	lines     []line
}

type line struct {
	at   time.Time
	text string
}

func logs(t *testing.T, ns, pod, container string) output {
	t.Helper()
	return parseLogs(t, container, kubectl(t, "-n", ns, "logs", pod, "-c", container, "--timestamps"))
}

// follow reads a container's log from now to its end, which the function it
// returns waits for. It has the beginning of the log when it returns.
func follow(t *testing.T, ns, pod, container string) func() output {
	t.Helper()
	cmd := cluster.KubectlCommand(t.Context(), "-n", ns, "logs", "-f", "--timestamps", pod, "-c", container)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stdout)
	first, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("follow the log of %s: %v", container, err)
	}
	return func() output {
		t.Helper()
		rest, err := io.ReadAll(r)
		if err = errors.Join(err, cmd.Wait()); err != nil {
			t.Fatalf("follow the log of %s: %v", container, err)
		}
		return parseLogs(t, container, first+string(rest))
	}
}

func parseLogs(t *testing.T, container, text string) output {
	t.Helper()
	o := output{container: container}
	for text := range strings.Lines(text) {
		stamp, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil {
			t.Fatal(err)
		}
		o.lines = append(o.lines, line{at, rest})
	}
	return o
}

// when is the time of the first line that holds text; there must be one.
func (o output) when(t *testing.T, text string) time.Time {
	t.Helper()
	for _, l := range o.lines {
		if strings.Contains(l.text, text) {
			return l.at
		}
	}
	t.Fatalf("container %s never said %q:\n%s", o.container, text, o)
	return time.Time{}
}

func (o output) has(text string) bool { return strings.Contains(o.String(), text) }

func (o output) String() string {
	var b bytes.Buffer
	for _, l := range o.lines {
		fmt.Fprintln(&b, l.at.Format(time.StampMicro), l.text)
	}
	return b.String()
}

// skew is how much later than what follows from it a line may be logged: the
// runtime reads each container's output by itself, when it gets a processor.
// 105 ms were seen on two busy ones. What must not happen is seconds away.
const skew = 500 * time.Millisecond

// inOrder checks that times ascend, but for the skew.
func inOrder(t *testing.T, moments ...moment) {
	t.Helper()
	for i := 1; i < len(moments); i++ {
		if moments[i].at.Before(moments[i-1].at.Add(-skew)) {
			t.Errorf("%q at %s is not before %q at %s", moments[i-1].what, moments[i-1].at.Format(time.StampMicro),
				moments[i].what, moments[i].at.Format(time.StampMicro))
		}
	}
}

type moment struct {
	what string
	at   time.Time
}
