//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// process is a process of the node, which is this machine.
type process struct {
	pid   int
	inner int    // its PID in its container
	name  string // name of its program
}

// processes returns the processes whose cgroup path contains text: a pod's UID or a container's ID.
func processes(t *testing.T, text string) []process {
	t.Helper()
	if text == "" {
		t.Fatal("every process belongs to nobody")
	}
	cgroups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	var found []process
	for _, path := range cgroups {
		groups, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(groups), text) {
			continue // the process has ended, or has another owner
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

// killFirst kills the first process of a container, its wrapper. The container runs,
// although its status may not show this yet. It returns the container's ID after the
// process has ended.
func killFirst(t *testing.T, ns, container string) (id string) {
	t.Helper()
	eventually(t, container+" running", func() (bool, string) { // the log may be visible before the status
		s := seen(onePod(t, ns, "e2e"), container)
		_, id, _ = strings.Cut(s.ContainerID, "://")
		return s.State.Running != nil && id != "", fmt.Sprintf("%+v", s)
	})
	killContainer(t, id, "koordinator")
	return id
}

// killContainer kills the first process of a container, which runs the program called name,
// and waits for its end.
func killContainer(t *testing.T, id, name string) {
	t.Helper()
	first := firstOf(t, id, name)
	handle, err := unix.PidfdOpen(first.pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(handle)
	if again := firstOf(t, id, name); again != first { // the handle may refer to a process that has reused the PID
		t.Fatalf("container %s had %+v as its first process, and has %+v", id, first, again)
	}
	if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil {
		t.Fatal(err)
	}
	gone := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
	eventually(t, "the end of the killed process", func() (bool, string) {
		n, err := unix.Poll(gone, 0)
		return n == 1, fmt.Sprint(err)
	})
}

// firstOf returns the first process of a container, which runs the program called name.
func firstOf(t *testing.T, id, name string) process {
	t.Helper()
	all := processes(t, id)
	for _, p := range all {
		if p.inner == 1 && p.name == name {
			return p
		}
	}
	t.Fatalf("container %s has no %s among %+v", id, name, all)
	return process{}
}

// killedIn waits until the kubelet has reported that a container was killed, and that it
// was the one with this ID.
func killedIn(t *testing.T, ns, container, id string) {
	t.Helper()
	eventually(t, container+" to be seen as killed", func() (bool, string) {
		s := seen(onePod(t, ns, "e2e"), container)
		for _, state := range []corev1.ContainerState{s.State, s.LastTerminationState} {
			if e := state.Terminated; e != nil && strings.HasSuffix(e.ContainerID, id) {
				return e.ExitCode == 137, fmt.Sprintf("%+v", e)
			}
		}
		return false, fmt.Sprintf("%+v", s)
	})
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
