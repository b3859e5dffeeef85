//go:build e2e

package main

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/test/cluster/layout"
	"koordinator.io/koordinator/test/cluster/part"
	"koordinator.io/koordinator/test/cluster/process"
	"koordinator.io/koordinator/test/cluster/sandbox"
)

// bench runs the command against a separate cluster for the test.
type bench struct {
	layout.Layout
	program string
	nodes   int
}

// newBench builds the command. It removes the remains of an earlier run, and at the end
// those of the test.
func newBench(t *testing.T) bench {
	t.Helper()
	places, err := layout.New("e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KOORDINATOR_CLUSTER", places.Name)
	b := bench{Layout: places, program: filepath.Join(t.TempDir(), "cluster"), nodes: 1}
	if output, err := exec.Command("go", "build", "-o", b.program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	b.run(t, 0, "down")
	t.Cleanup(func() { _ = exec.Command(b.program, "down").Run() })
	return b
}

// run runs a command, which must exit with code, and returns its output.
func (b bench) run(t *testing.T, code int, args ...string) string {
	t.Helper()
	cmd := exec.Command(b.program, args...)
	output, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, output)
	}
	return string(output)
}

// kubectl runs kubectl, which must succeed, on the host, and returns its output.
func (b bench) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	bin := strings.TrimSpace(b.run(t, 0, "bin"))
	output, err := exec.Command(filepath.Join(bin, "kubectl"), append([]string{"--kubeconfig", b.Kubeconfig()}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

// pids returns the processes that the command has recorded.
func (b bench) pids(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(b.run(t, 0, "status")) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[2] == "runs" {
			found[fields[0]] = fields[1]
		}
	}
	if len(found) != len(part.Names(b.nodes)) {
		t.Fatalf("these run: %v", found)
	}
	return found
}

// crash kills the given processes with SIGKILL, and returns when they have ended.
func crash(t *testing.T, pids ...string) {
	t.Helper()
	for _, pid := range pids {
		number, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		identity, err := process.Of(number)
		if err != nil {
			t.Fatal(err)
		}
		if err := identity.Stop(0); err != nil {
			t.Fatal(err)
		}
	}
}

// eventually waits until check returns true.
func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	const wait = 5 * time.Minute
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if check() {
			return
		}
	}
	t.Fatalf("waited %s for %s", wait, what)
}

// runPod starts a pod and waits until it runs, so that shims, containers, mounts and
// cgroups of pods exist.
func (b bench) runPod(t *testing.T) {
	t.Helper()
	b.kubectl(t, "run", "web", "--image=busybox:1.37", "--command", "--", "sh", "-c", "echo hello; exec sleep 100000")
	b.kubectl(t, "wait", "--for=condition=Ready", "pod/web", "--timeout=5m")
}

// runFeatures uses the features that the project's samples and tests need: native sidecars,
// probes, image volumes, Services, and an API server that pods can call with their tokens.
// The client in the pod is kubectl from the cache. node is the client's node; the server
// runs on node1.
func (b bench) runFeatures(t *testing.T, node string) {
	t.Helper()
	manifest, err := os.ReadFile("testdata/features.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bin := strings.TrimSpace(b.run(t, 0, "bin"))
	values := strings.NewReplacer("<CACHE>", filepath.Dir(bin), "<BIN>", filepath.Base(bin), "<NODE>", node)
	file := filepath.Join(t.TempDir(), "features.yaml")
	if err := os.WriteFile(file, []byte(values.Replace(string(manifest))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.kubectl(t, "apply", "--filename="+file)
	b.kubectl(t, "wait", "--for=condition=Ready", "pod/server", "--timeout=5m")
	b.kubectl(t, "wait", "--for=condition=Complete", "job/client", "--timeout=5m")
	if got, want := b.kubectl(t, "logs", "job/client"), "hello from the server\nok"; got != want {
		t.Errorf("the client says %q, want %q", got, want)
	}
}

// host holds the properties of the machine that must be the same after a cluster is removed
// as before: mounts at directories that a cluster uses, and network interfaces. Other
// programs may change other mounts at the same time.
type host struct {
	mounts, links string
}

// observe returns the machine's state.
func (b bench) observe(t *testing.T) host {
	t.Helper()
	used := []string{b.Run, b.Data}
	for dir := range b.Node(1).Private() {
		used = append(used, dir)
	}
	mounts, err := sandbox.Mounts(used...)
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/sys/class/net/*")
	if err != nil {
		t.Fatal(err)
	}
	return host{mounts: strings.Join(mounts, " "), links: strings.Join(links, " ")}
}

// namespaces returns the identities of the nodes' network namespaces, as in /proc/PID/ns/net.
func (b bench) namespaces(t *testing.T) []string {
	t.Helper()
	var all []string
	pids := b.pids(t)
	for number := 1; number <= b.nodes; number++ {
		name, err := os.Readlink("/proc/" + pids[part.On(number, part.Kubelet)] + "/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, name)
	}
	return all
}

// assertGone reports everything that is left of the cluster. namespaces are the identities of
// its network namespaces.
func (b bench) assertGone(t *testing.T, before host, namespaces []string) {
	t.Helper()
	if now := b.observe(t); now != before {
		t.Errorf("the machine has changed\nbefore: %s\nafter:  %s", before, now)
	}
	for _, dir := range []string{b.Run, b.Data} {
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, _ error) error {
		if entry != nil && strings.Contains(entry.Name(), b.Cgroup()) {
			t.Errorf("cgroup %s is left", path)
		}
		return nil
	})
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range processes {
		command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
		if got, _ := os.Readlink(filepath.Join(process, "ns/net")); slices.Contains(namespaces, got) || bytes.Contains(command, []byte(b.Data+"/")) {
			t.Errorf("%s is left: %q", process, command)
		}
	}
}

func TestE2EUpDown(t *testing.T) {
	b := newBench(t)
	before := b.observe(t)
	b.run(t, 1, "status")
	b.run(t, 1, "kubeconfig")
	b.run(t, 0, "up")
	namespaces, pids := b.namespaces(t), b.pids(t)
	if output := b.run(t, 0, "up"); !strings.Contains(output, "is up already") {
		t.Errorf("up again says %q", output)
	}
	if again := b.pids(t); !maps.Equal(again, pids) {
		t.Errorf("up again has changed %v to %v", pids, again)
	}
	b.runPod(t)
	eventually(t, "the log", func() bool { return b.kubectl(t, "logs", "web") == "hello\n" })
	if got := b.kubectl(t, "exec", "web", "--", "echo", "there"); got != "there\n" {
		t.Errorf("exec: %q", got)
	}
	b.runFeatures(t, "node1")
	b.run(t, 0, "down")
	b.assertGone(t, before, namespaces)
	if output := b.run(t, 0, "down"); !strings.Contains(output, "nothing is up") {
		t.Errorf("down again says %q", output)
	}
}

func TestE2EDownAfterCrash(t *testing.T) {
	b := newBench(t)
	before := b.observe(t)
	for name, victims := range map[string][]string{
		"everything":           part.Names(1),
		"containerd":           {part.Containerd},
		"kubelet and etcd":     {part.Kubelet, part.Etcd},
		"all records are lost": nil,
	} {
		t.Run(name, func(t *testing.T) {
			b.run(t, 0, "up")
			b.runPod(t)
			namespaces, pids := b.namespaces(t), b.pids(t)
			for _, victim := range victims {
				crash(t, pids[victim])
			}
			if victims == nil {
				if err := os.RemoveAll(filepath.Dir(b.Record(part.Etcd))); err != nil {
					t.Fatal(err)
				}
			}
			b.run(t, 1, "status")
			b.run(t, 0, "down")
			b.assertGone(t, before, namespaces)
		})
	}
}

func TestE2EUpAfterCrash(t *testing.T) {
	b := newBench(t)
	b.run(t, 0, "up")
	b.runPod(t)
	crash(t, slices.Collect(maps.Values(b.pids(t)))...)
	b.run(t, 0, "up")
	if pods := b.kubectl(t, "get", "pods", "--output=name"); pods != "" {
		t.Errorf("a new cluster has pods: %s", pods)
	}
}

func TestE2EUpAfterUpWasKilled(t *testing.T) {
	b := newBench(t)
	interrupted := exec.Command(b.program, "up")
	if err := interrupted.Start(); err != nil {
		t.Fatal(err)
	}
	// At that time, all parts are started, and the node is not ready yet.
	eventually(t, "the kubelet's start", func() bool {
		_, err := os.Stat(b.Record(part.Kubelet))
		return err == nil
	})
	_ = interrupted.Process.Kill()
	_ = interrupted.Wait()
	b.run(t, 1, "status")
	if output := b.run(t, 0, "up"); !strings.Contains(output, "removing what is left") {
		t.Errorf("up says %q", output)
	}
	b.runPod(t)
}

func TestE2EUpThatFailsLeavesNothing(t *testing.T) {
	b := newBench(t)
	before := b.observe(t)
	t.Setenv("KOORDINATOR_CACHE", breakScheduler(t, strings.TrimSpace(b.run(t, 0, "bin"))))
	output := b.run(t, 1, "up")
	for _, want := range []string{"start " + part.Scheduler, b.LogFile(part.Scheduler), "the scheduler is broken"} {
		if !strings.Contains(output, want) {
			t.Errorf("%q is missing in: %s", want, output)
		}
	}
	if _, err := os.Stat(b.LogFile(part.Scheduler)); err != nil {
		t.Error(err)
	}
	b.assertGone(t, before, nil)
}

func TestE2ERestart(t *testing.T) {
	b := newBench(t)
	b.run(t, 0, "up")
	b.runPod(t)
	for _, name := range part.Names(1) {
		before := b.pids(t)
		b.run(t, 0, "restart", name)
		after := b.pids(t)
		for other := range before {
			if changed := before[other] != after[other]; changed != (other == name) {
				t.Errorf("restart of %s: %s was %s, is %s", name, other, before[other], after[other])
			}
		}
	}
	b.run(t, 0, "restart", "-kill", part.APIServer)
	b.run(t, 0, "stop", part.Kubelet)
	b.run(t, 1, "status")
	b.run(t, 0, "start", part.Kubelet)
	if got := b.kubectl(t, "get", "pod", "web", "--output=jsonpath={.status.containerStatuses[0].restartCount}"); got != "0" {
		t.Errorf("the pod was restarted %s times", got)
	}
}

func TestE2ETwoNodes(t *testing.T) {
	b := newBench(t)
	before := b.observe(t)
	b.nodes = 2
	b.run(t, 0, "up", "-nodes", "2")
	b.run(t, 1, "start", "node4")
	if output := b.run(t, 1, "up", "-nodes", "3"); !strings.Contains(output, "up with 2 of 3 nodes") {
		t.Errorf("up with more nodes says %q", output)
	}
	b.runFeatures(t, "node2")
	b.kubectl(t, "run", "far", "--image=busybox:1.37", `--overrides={"spec": {"nodeName": "node2"}}`, "--command", "--", "sleep", "100000")
	b.kubectl(t, "wait", "--for=condition=Ready", "pod/far", "--timeout=5m")

	b.run(t, 0, "stop", "-kill", "node2")
	b.run(t, 1, "status")
	b.kubectl(t, "exec", "server", "--", "true")
	b.run(t, 0, "start", "node2")
	b.restarted(t, "far", "1")

	b.run(t, 0, "restart", "-kill", "node1")
	b.restarted(t, "server", "1")
	b.restarted(t, "far", "1")
	b.kubectl(t, "delete", "job", "client")
	b.runFeatures(t, "node2")
	b.run(t, 0, "restart", "-kill", "node2")
	b.restarted(t, "far", "2")

	for range 2 {
		b.run(t, 0, "start", "node3")
		b.kubectl(t, "run", "added", "--image=busybox:1.37", `--overrides={"spec": {"nodeName": "node3"}}`, "--command", "--", "sleep", "100000")
		b.kubectl(t, "wait", "--for=condition=Ready", "pod/added", "--timeout=5m")
		b.run(t, 0, "status")
		b.run(t, 1, "start", "node3")
		b.run(t, 1, "remove", "node2")
		b.run(t, 0, "remove", "node3")
		b.kubectl(t, "delete", "node", "node3")
		b.kubectl(t, "delete", "pod", "added", "--force", "--ignore-not-found")
		b.run(t, 0, "status")
	}

	namespaces := b.namespaces(t)
	b.run(t, 0, "down")
	b.assertGone(t, before, namespaces)
}

// restarted waits until the first container of a pod is ready after the given number of restarts.
func (b bench) restarted(t *testing.T, pod, count string) {
	t.Helper()
	eventually(t, pod+" to be restarted", func() bool {
		return b.kubectl(t, "get", "pod", pod, "--output=jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].ready}") == count+" true"
	})
	if got := b.kubectl(t, "exec", pod, "--", "echo", "there"); !strings.HasSuffix(got, "there\n") {
		t.Errorf("exec: %q", got)
	}
}

func TestE2EForeignProcessSurvives(t *testing.T) {
	b := newBench(t)
	b.run(t, 0, "up")
	foreign := filepath.Join(t.TempDir(), part.Kubelet)
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(foreign, sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(foreign, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.run(t, 0, "down")
	select {
	case err := <-ended:
		t.Errorf("a process that is only called %s was stopped: %v", part.Kubelet, err)
	default:
		_ = cmd.Process.Kill()
		<-ended
	}
}

func TestE2ETwoClustersSideBySide(t *testing.T) {
	b := newBench(t)
	b.run(t, 0, "up")
	b.runPod(t)
	t.Setenv("KOORDINATOR_CLUSTER", "e2e-beside")
	t.Cleanup(func() {
		beside := exec.Command(b.program, "down")
		beside.Env = append(os.Environ(), "KOORDINATOR_CLUSTER=e2e-beside")
		_ = beside.Run()
	})
	b.run(t, 0, "up")
	b.run(t, 0, "down")
	t.Setenv("KOORDINATOR_CLUSTER", b.Name)
	b.run(t, 0, "status")
	if got := b.kubectl(t, "exec", "web", "--", "echo", "there"); got != "there\n" {
		t.Errorf("exec: %q", got)
	}
}

// breakScheduler returns a cache with links to the programs in bin, except for a scheduler
// that only fails.
func breakScheduler(t *testing.T, bin string) string {
	t.Helper()
	cache := t.TempDir()
	own := filepath.Join(cache, filepath.Base(bin))
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	built, err := filepath.Glob(filepath.Join(filepath.Dir(bin), "pause-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range built {
		if err := os.Symlink(dir, filepath.Join(cache, filepath.Base(dir))); err != nil {
			t.Fatal(err)
		}
	}
	programs, err := os.ReadDir(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		path := filepath.Join(own, program.Name())
		if program.Name() == part.Scheduler {
			err = os.WriteFile(path, []byte("#!/bin/sh\necho the scheduler is broken\nexit 1\n"), 0o755)
		} else {
			err = os.Symlink(filepath.Join(bin, program.Name()), path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return cache
}
