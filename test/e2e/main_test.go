//go:build e2e

// Package e2e tests koordinator on a real cluster, with a real API server, a kubelet and
// containers. It uses the images of the Dockerfiles and the chart, and calls kubectl as a
// user would.
//
//	go test -tags e2e ./test/e2e
//
// KOORDINATOR_CLUSTER is the name of the cluster of test/cluster that the tests create and
// remove ("koordinator-e2e" by default). KEEP=1 keeps it running.
package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/setup"
	"koordinator.io/koordinator/wrapper/spec"
)

// cluster is the cluster of all tests. TestMain sets it before they run.
var cluster *setup.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("KOORDINATOR_CLUSTER") == "" {
		os.Setenv("KOORDINATOR_CLUSTER", "koordinator-e2e")
	}
	if err := flag.Set("test.parallel", strconv.Itoa(most)); err != nil { // the command line overrides this
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	flag.Parse()
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
	return m.Run()
}

// forTests are settings of the chart: replicas with a shorter drain time, the tests' own
// registry, and the init container, which works everywhere.
var forTests = []string{"--set", "webhook.drainSeconds=3", "--set", "registry.plainHTTP={" + registryHost + "}", "--set", "delivery=init-container"}

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

// install installs koordinator, or changes the settings of the installation. It waits until
// only the new replicas run and the webhook answers, because the node needs a while to
// route to a new Service's address.
func install(t *testing.T, more ...string) {
	t.Helper()
	if err := cluster.Install(context.Background(), slices.Concat(forTests, more)...); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the replicas before", func() (bool, string) {
		var d appsv1.Deployment
		if err := json.Unmarshal([]byte(kubectl(t, "-n", setup.Namespace, "get", "deployment", "koordinator", "-o", "json")), &d); err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(kubectl(t, "-n", setup.Namespace, "get", "pod", "-l", ours, "-o", "name"))
		return len(names) == int(*d.Spec.Replicas), strings.Join(names, " ")
	})
	answered(t, namespace(t, enabled))
}

// answered waits until the webhook injects pods of a namespace.
func answered(t *testing.T, ns string) {
	t.Helper()
	eventually(t, "an answer of the webhook", func() (bool, string) {
		out, err := try(t, waitingPod, "-n", ns, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		return err == nil && strings.Contains(out, spec.Binary), out + fmt.Sprint(err)
	})
}

// enabled is the label that enables a namespace.
const enabled = "koordinator.io/injection=enabled"

// unfit matches characters that are not allowed in a namespace's name.
var unfit = regexp.MustCompile(`[^a-z0-9]+`)

// namespace creates a namespace for a test, with the given labels, and removes it at the
// end. If the test failed, it prints the namespace's contents.
func namespace(t *testing.T, labels ...string) string {
	t.Helper()
	name := unfit.ReplaceAllString(strings.ToLower(t.Name()), "-")
	if len(name) > 50 {
		name = name[:50]
	}
	name += fmt.Sprintf("-%04x", rand.N(1<<16)) // the namespace of an earlier run may still be terminating
	// The labels are there from the beginning, so that the API server knows no other state.
	var all strings.Builder
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		fmt.Fprintf(&all, "%q: %q, ", key, value)
	}
	if _, err := try(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {"+all.String()+"}}\n", "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			show(t, name)
		}
		kubectl(t, "delete", "namespace", name, "--wait=false")
	})
	eventually(t, "the default service account", func() (bool, string) {
		_, err := try(t, "", "-n", name, "get", "serviceaccount", "default")
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
		out, err := try(t, "", append([]string{"-n", ns}, args...)...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// wait is the timeout for each step. It is so long that only a fault exceeds it, and never
// a slow machine.
const wait = 5 * time.Minute

// try runs kubectl with a manifest on standard input.
func try(t *testing.T, manifest string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), wait)
	defer cancel()
	return cluster.Kubectl(ctx, manifest, args...)
}

// kubectl runs kubectl, which must succeed.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// apply applies a manifest as a user does. Commands in it may use SAY (order_test.go).
func apply(t *testing.T, ns, manifest string) {
	t.Helper()
	if _, err := try(t, spoken(manifest), "-n", ns, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// eventually polls until check returns true. The last text that check returned explains a failure.
func eventually(t *testing.T, what string, check func() (bool, string)) {
	t.Helper()
	var last string
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var ok bool
		if ok, last = check(); ok {
			return
		}
	}
	t.Fatalf("waited %s for %s; last: %s", wait, what, last)
}

// pods returns the pods that match a selector.
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
	eventually(t, "the end of the Job", func() (bool, string) {
		ended = kubectl(t, "-n", ns, "get", "job", name, "-o", `jsonpath={range .status.conditions[?(@.status=="True")]}{.type} {end}{.status}`)
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

// status returns a container's status in a pod.
func status(t *testing.T, pod corev1.Pod, name string) corev1.ContainerStatus {
	t.Helper()
	s := seen(pod, name)
	if s.Name == "" {
		t.Fatalf("pod %s has no status of container %s", pod.Name, name)
	}
	return s
}

// seen returns a container's status in a pod, or an empty one if the kubelet has not
// reported it yet. That can be the case after the container has run for a while.
func seen(pod corev1.Pod, name string) corev1.ContainerStatus {
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if s.Name == name {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

// terminated returns the end of a container, which must have ended.
func terminated(t *testing.T, pod corev1.Pod, name string) corev1.ContainerStateTerminated {
	t.Helper()
	s := status(t, pod, name)
	if s.State.Terminated == nil {
		t.Fatalf("container %s has not ended: %+v", name, s.State)
	}
	return *s.State.Terminated
}
