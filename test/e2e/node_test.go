//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// process is one of the node, which is this machine.
type process struct {
	pid   int
	inner int    // its PID in its container
	name  string // of its program
}

// processes are those whose cgroup's path holds text: a pod's UID or a
// container's ID.
func processes(t *testing.T, text string) []process {
	t.Helper()
	cgroups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var found []process
	for _, path := range cgroups {
		groups, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(groups), text) {
			continue // gone, or another's
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(path), "status"))
		if err != nil {
			continue
		}
		var p process
		for l := range strings.Lines(string(status)) {
			key, value, _ := strings.Cut(l, ":")
			fields := strings.Fields(value)
			switch key {
			case "Name":
				p.name = fields[0]
			case "NSpid":
				p.pid, _ = strconv.Atoi(fields[0])
				p.inner, _ = strconv.Atoi(fields[len(fields)-1])
			}
		}
		found = append(found, p)
	}
	return found
}

// killFirst kills the first process of a running container, its wrapper, and
// says when.
func killFirst(t *testing.T, pod corev1.Pod, container string) time.Time {
	t.Helper()
	_, id, _ := strings.Cut(status(t, pod, container).ContainerID, "://")
	for _, p := range processes(t, id) {
		if p.inner == 1 && p.name == "koordinator" {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return time.Now()
		}
	}
	t.Fatalf("container %s of pod %s has no wrapper among %v", container, pod.Name, processes(t, id))
	return time.Time{}
}

// killSandbox kills the process that holds the pod's namespaces.
func killSandbox(t *testing.T, pod corev1.Pod) {
	t.Helper()
	all := processes(t, string(pod.UID))
	for _, p := range all {
		if p.name == "pause" {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("pod %s has no sandbox among %v", pod.Name, all)
}
