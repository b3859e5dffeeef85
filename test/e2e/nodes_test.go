//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
)

// second is the node that these tests add to the cluster.
const second = "node2"

// TestASecondNode adds a node with a small disk, fills the disk, and takes the node's power
// away. It is not parallel, because it changes the installation.
func TestASecondNode(t *testing.T) {
	disk := filepath.Join(clusterData(), second)
	t.Cleanup(func() {
		control(t, "remove", second) // also unmounts the disk
		kubectl(t, "delete", "node", second, "--ignore-not-found")
		install(t) // a replica on the node is lost
	})
	if err := os.MkdirAll(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1g"); err != nil {
		t.Fatal(err)
	}
	control(t, "start", second)
	nodeIs(t, "Ready", "True")
	control(t, "load", "bin/images/webhook.tar")

	t.Run("each replica runs on a node of its own", spread)
	t.Run("a drain interrupts no admission", drained)
	t.Run("the wrapper's image is pulled", pulled)
	control(t, "load", "bin/images/wrapper.tar")
	for _, delivery := range []string{"init-container", "image-volume"} {
		t.Run("the order holds after a power loss, "+delivery, func(t *testing.T) {
			install(t, "--set", "delivery="+delivery)
			powerLoss(t)
		})
	}
	t.Run("a full disk evicts a pod, and its Job completes in order afterwards", func(t *testing.T) { fullDisk(t, disk) })
	t.Run("admission goes on without the node", lost)
}

// clusterData returns the directory with the files of the cluster.
func clusterData() string {
	return filepath.Join("/var/lib/koordinator-cluster", os.Getenv("KOORDINATOR_CLUSTER"))
}

// control runs a command of test/cluster.
func control(t *testing.T, args ...string) {
	t.Helper()
	if err := cluster.Control(context.WithoutCancel(t.Context()), args...); err != nil {
		t.Fatal(err)
	}
}

// nodeIs waits until a condition of the second node has a status.
func nodeIs(t *testing.T, condition, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("condition %s=%s of the node", condition, want), func() (bool, string) {
		out, err := try(t, "", "get", "node", second, "-o", `jsonpath={.status.conditions[?(@.type=="`+condition+`")].status}`)
		return out == want, fmt.Sprint(out, err)
	})
}

// spread starts new replicas, so that the scheduler can choose among the nodes.
func spread(t *testing.T) {
	system(t, "rollout", "restart", "deployment/koordinator")
	system(t, "rollout", "status", "deployment/koordinator", "--timeout=5m")
	eventually(t, "a replica on each node", func() (bool, string) {
		nodes := map[string]bool{}
		all := replicas(t)
		for _, p := range all {
			nodes[p.Spec.NodeName] = true
		}
		return len(all) == 2 && len(nodes) == 2, fmt.Sprintf("%d replicas on %v", len(all), nodes)
	})
}

// drained drains the node while pods are created.
func drained(t *testing.T) {
	install(t, "--set", "webhook.drainSeconds=10") // the chart's default, which is time for kube-proxy
	spread(t)
	t.Cleanup(func() { kubectl(t, "uncordon", second) })
	s := startStream(t, namespace(t, enabled), true)
	kubectl(t, "drain", second, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=5m")
	system(t, "rollout", "status", "deployment/koordinator", "--timeout=5m")
	s.end(t)
	for _, p := range replicas(t) {
		if p.Spec.NodeName == second {
			t.Errorf("%s is still on %s", p.Name, second)
		}
	}
}

// pulled delivers images that no node has, from a registry in the network of the cluster.
func pulled(t *testing.T) {
	for _, delivery := range []string{"init-container", "image-volume"} {
		t.Run(delivery, func(t *testing.T) {
			r := startRegistry(t)
			r.push(t, "koordinator/wrapper:"+delivery, "bin/images/wrapper.tar")
			install(t, "--set", "delivery="+delivery, "--set", "image.wrapper.registry="+r.host, "--set", "image.wrapper.tag="+delivery)
			ns := namespace(t, enabled)
			apply(t, ns, podOf("pulls", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, `
  nodeName: node2
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "SAY main runs"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY proxy runs; touch /tmp/ready; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
`))
			ends(t, ns, "main", "proxy")
			main, proxy := logs(t, ns, "pulls", "main"), logs(t, ns, "pulls", "proxy")
			inOrder(t,
				moment{"proxy runs", proxy.when(t, "proxy runs")},
				moment{"main runs", main.when(t, "main runs")},
				moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
			)
			if all := r.requests(); !strings.Contains(all, "GET /v2/koordinator/wrapper/manifests/") {
				t.Errorf("the node did not pull the image: %s", all)
			}
		})
	}
}

// images is a registry that the nodes can reach.
type images struct {
	host  string // its address for the nodes
	store http.Handler

	mu   sync.Mutex
	seen []string
}

// startRegistry starts a registry, and configures the nodes to use it without TLS.
func startRegistry(t *testing.T) *images {
	t.Helper()
	var listener net.Listener
	if err := onFirst(func() (err error) {
		listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp4", "10.99.0.1:0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r := &images{host: listener.Addr().String(), store: registry.New(registry.Logger(log.New(t.Output(), "", 0)))}
	server := httptest.NewUnstartedServer(r)
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)

	dir := filepath.Join(clusterData(), "config/registries", r.host)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(`server = "http://`+r.host+`"`), 0o644); err != nil {
		t.Fatal(err)
	}
	return r
}

// ServeHTTP serves the nodes.
func (r *images) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.seen = append(r.seen, request.Method+" "+request.URL.Path)
	r.mu.Unlock()
	r.store.ServeHTTP(w, request)
}

// requests returns the requests of the nodes so far.
func (r *images) requests() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.seen, "\n")
}

// push stores an image from an archive, through another address of the registry.
func (r *images) push(t *testing.T, tag, archive string) {
	t.Helper()
	image, err := tarball.ImageFromPath(filepath.Join(cluster.Root, archive), nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config := file.DeepCopy().Config
	config.Labels = map[string]string{"tag": tag} // the nodes do not pull an image that they know by its digest
	if image, err = mutate.Config(image, config); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r.store)
	defer server.Close()
	reference, err := name.ParseReference(server.Listener.Addr().String() + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, image); err != nil {
		t.Fatal(err)
	}
}

// onFirst calls do in the network of the first node.
func onFirst(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so the thread ends with this goroutine
		namespace, err := os.Open(filepath.Join("/run/koordinator-cluster", os.Getenv("KOORDINATOR_CLUSTER"), "node1/ns/net"))
		if err != nil {
			done <- err
			return
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// Pods that run, wait and stop when their node loses its power.
const (
	// waits is a pod whose main waits until /shared/ready exists.
	waits = `
  nodeName: node2
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "SAY main runs; sleep 3600"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "SAY proxy runs; sleep 3600"]
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 2, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`
	// works is a Job's pod that runs until /shared/end exists. The proxy is ready 3 s after
	// each of its starts.
	works = `
  nodeName: node2
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "SAY main runs; until test -e /shared/end; do sleep 0.2; done; SAY main ends"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - {name: migrate, image: "busybox:1.37", command: [sh, -c, "SAY migrated"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; sleep 3; SAY proxy is ready; touch /tmp/ready; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
  volumes: [{name: shared, emptyDir: {}}]
  restartPolicy: `
	// holds is a pod whose main ignores its stop request.
	holds = `
  nodeName: node2
  terminationGracePeriodSeconds: 3600
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "trap '' TERM; SAY main runs; while :; do sleep 1; done"]}
    - {name: proxy, image: "busybox:1.37", command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY proxy runs; sleep 3600 & wait $!"]}
`
)

// powerLoss switches the node off and on while containers wait, run and stop.
func powerLoss(t *testing.T) {
	waiting, restarting, failing, stopping := namespace(t, enabled), namespace(t, enabled), namespace(t, enabled), namespace(t, enabled)
	apply(t, waiting, podOf("waits", notes{"start-deps": "main: proxy"}, waits))
	working := notes{"start-deps": "main: migrate=succeeded, proxy", "stop-deps": "proxy: main"}
	apply(t, restarting, jobOf("works", working, "backoffLimit: 6", works+"OnFailure"))
	apply(t, failing, jobOf("works", working, "backoffLimit: 6", works+"Never"))
	apply(t, stopping, podOf("holds", notes{"start-deps": "main: proxy"}, holds))
	says(t, waiting, "waits", "main", "waiting")
	says(t, waiting, "waits", "proxy", "proxy runs")
	for _, ns := range []string{restarting, failing} {
		says(t, ns, "job/works", "main", "main runs")
		ends(t, ns, "migrate")
	}
	says(t, stopping, "holds", "main", "main runs")
	kubectl(t, "-n", stopping, "delete", "pod", "holds", "--wait=false")
	says(t, stopping, "holds", "proxy", "stop request held")
	failed := onePod(t, failing, "e2e").Name
	control(t, "restart", "-kill", second)

	eventually(t, "the restart of both containers that wait", func() (bool, string) {
		pod := onePod(t, waiting, "e2e")
		main, proxy := status(t, pod, "main"), status(t, pod, "proxy")
		return main.RestartCount > 0 && main.State.Running != nil && proxy.RestartCount > 0 && proxy.State.Running != nil, fmt.Sprint(main, proxy)
	})
	says(t, waiting, "waits", "main", "waiting")
	if out := logs(t, waiting, "waits", "main"); out.has("main runs") {
		t.Errorf("main runs before the proxy is ready:\n%s", out)
	}
	inside(t, waiting, "waits", "proxy", "touch", "/shared/ready")
	says(t, waiting, "waits", "main", "main runs")

	eventually(t, "another pod of the Job that restarts no container", func() (bool, string) {
		all := pods(t, failing, "e2e")
		return len(all) == 2, fmt.Sprintf("%d pods", len(all))
	})
	kubectl(t, "-n", failing, "delete", "pod", failed)
	eventually(t, "the restart of main", func() (bool, string) {
		main := status(t, onePod(t, restarting, "e2e"), "main")
		return main.RestartCount > 0 && main.State.Running != nil, fmt.Sprint(main)
	})
	for _, ns := range []string{restarting, failing} {
		says(t, ns, "job/works", "main", "main runs")
		inside(t, ns, "job/works", "main", "touch", "/shared/end")
		workedInOrder(t, ns)
	}
	eventually(t, "the end of the pod that was stopping", func() (bool, string) {
		left := pods(t, stopping, "e2e")
		return len(left) == 0, fmt.Sprintf("%d pods", len(left))
	})
}

// fullDisk keeps the disk of the node almost full until the pod of a Job is evicted. Without
// any room, containerd could not record that a container has ended.
func fullDisk(t *testing.T, disk string) {
	kubectl(t, "cordon", "node1")
	t.Cleanup(func() { kubectl(t, "uncordon", "node1") })
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("works", notes{"start-deps": "main: migrate=succeeded, proxy", "stop-deps": "proxy: main"}, "backoffLimit: 6",
		strings.Replace(works, "\n  nodeName: node2", "", 1)+"OnFailure"))
	says(t, ns, "job/works", "main", "main runs")
	evicted := onePod(t, ns, "e2e").Name
	fill, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	free := func() {
		_ = fill.Close()
		_ = os.Remove(fill.Name())
	}
	t.Cleanup(free)
	eventually(t, "the eviction", func() (bool, string) {
		for room(t, disk) > 4<<20 { // in each look, because the kubelet first removes unused images
			if _, err := fill.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		out := kubectl(t, "-n", ns, "get", "pod", evicted, "-o", "jsonpath={.status.phase} {.status.reason} {.status.message}")
		return strings.HasPrefix(out, "Failed Evicted"), out
	})
	nodeIs(t, "DiskPressure", "True")
	free()
	nodeIs(t, "DiskPressure", "False")
	// The kubelet has removed images that no container used.
	control(t, "load", filepath.Join(clusterData(), "pause.tar"), filepath.Join(clusterData(), "busybox.tar"), "bin/images/wrapper.tar", "bin/images/webhook.tar")
	kubectl(t, "-n", ns, "delete", "pods", "--field-selector=status.phase=Failed")
	says(t, ns, "job/works", "main", "main runs")
	inside(t, ns, "job/works", "main", "touch", "/shared/end")
	workedInOrder(t, ns)
	system(t, "delete", "pods", "--field-selector=status.phase=Failed")
}

// room returns the free bytes of a file system.
func room(t *testing.T, path string) uint64 {
	t.Helper()
	var system unix.Statfs_t
	if err := unix.Statfs(path, &system); err != nil {
		t.Fatal(err)
	}
	return system.Bavail * uint64(system.Bsize)
}

// workedInOrder waits until the Job of the namespace has completed, and checks the order in
// which its containers started and stopped.
func workedInOrder(t *testing.T, ns string) {
	t.Helper()
	pod, condition := job(t, ns, "works")
	if condition != "Complete" {
		t.Errorf("Job %s", condition)
	}
	proxyAround(t, ns, pod.Name)
	if n := status(t, pod, "migrate").RestartCount; n != 0 {
		t.Errorf("migrate was run again %d times", n)
	}
}

// proxyAround checks that main ran after the proxy was ready, and before it was stopped.
func proxyAround(t *testing.T, ns, pod string) {
	t.Helper()
	main, proxy := logs(t, ns, pod, "main"), logs(t, ns, pod, "proxy")
	inOrder(t,
		moment{"proxy is ready", proxy.when(t, "proxy is ready")},
		moment{"main runs", main.when(t, "main runs")},
		moment{"main ends", main.when(t, "main ends")},
		moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
}

// lost switches the node off. Before, the API server connects to the replica on this node.
func lost(t *testing.T) {
	kubectl(t, "cordon", "node1")
	t.Cleanup(func() { kubectl(t, "uncordon", "node1") })
	system(t, "scale", "deployment/koordinator", "--replicas=1")
	system(t, "rollout", "restart", "deployment/koordinator")
	eventually(t, "a single replica, on the second node", func() (bool, string) {
		all := replicas(t)
		return len(all) == 1 && all[0].Spec.NodeName == second, fmt.Sprintf("%d replicas", len(all))
	})
	s := startStream(t, namespace(t, enabled), true)
	kubectl(t, "uncordon", "node1")
	kubectl(t, "cordon", second)
	system(t, "scale", "deployment/koordinator", "--replicas=2")
	system(t, "rollout", "status", "deployment/koordinator", "--timeout=5m")

	control(t, "stop", "-kill", second)
	off := time.Now()
	nodeIs(t, "Ready", "Unknown")
	answers(t, s)
	t.Logf("all requests succeed again %s after the loss", time.Since(off).Round(time.Second))
	refusedByTheAPIServer(t, s.stop(t))
}
