package compat

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// roleEnv makes the test binary play a role instead of running the tests.
const roleEnv = "COMPAT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "test":
		if err := mountProc(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	case "pause":
		os.Exit(pause())
	case "killer":
		sent, err := Kill(nil, true, syscall.SIGTERM)
		fmt.Println("sent", sent, err)
	}
}

// mountProc mounts /proc for a new process namespace.
func mountProc() error { return unix.Mount("proc", "/proc", "proc", 0, "") }

// pause acts as the first process of a process namespace. It starts two
// commands, and one that kills all others.
func pause() int {
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	if err := mountProc(); err != nil {
		fmt.Println(err)
		return 1
	}
	commands := []*exec.Cmd{exec.Command("sleep", "600"), exec.Command("sleep", "600")}
	for _, c := range commands {
		if err := c.Start(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	killer := exec.Command("/proc/self/exe")
	killer.Env = []string{roleEnv + "=killer"}
	killer.Stdout = os.Stdout
	if err := killer.Run(); err != nil {
		fmt.Println("killer", err)
	}
	for _, c := range commands {
		fmt.Println("command", c.Wait())
	}
	select {
	case s := <-terms:
		fmt.Println("the first process got", s)
	default:
	}
	return 0
}

func TestKillAllSparesTheSandboxAndItself(t *testing.T) {
	out, err := inPod(t, "pause").CombinedOutput()
	check(t, err)
	want := "sent 2 <nil>\ncommand signal: terminated\ncommand signal: terminated\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

// inPod prepares the test binary to play a role as the first process of a
// process namespace, with its own mounts.
func inPod(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	pod := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	pod.Env = append(os.Environ(), roleEnv+"="+role)
	pod.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	return pod
}

// alone runs the test again in separate namespaces, where it returns true.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(roleEnv) == "test" {
		return true
	}
	out, err := inPod(t, "test", "-test.run=^"+t.Name()+"$", "-test.v").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// TestKillByName runs in its own namespace, because the machine's is that of
// the node.
func TestKillByName(t *testing.T) {
	if !alone(t) {
		return
	}
	name := fmt.Sprintf("kx%d", os.Getpid())
	sleep, err := exec.LookPath("sleep")
	check(t, err)
	for _, tt := range []struct {
		name    string
		command func(dir string) *exec.Cmd
	}{
		{"its executable's", func(dir string) *exec.Cmd {
			program, err := os.ReadFile(sleep)
			check(t, err)
			path := filepath.Join(dir, name)
			check(t, os.WriteFile(path, program, 0o755))
			return &exec.Cmd{Path: path, Args: []string{"renamed", "600"}}
		}},
		{"its first argument's", func(string) *exec.Cmd {
			return &exec.Cmd{Path: sleep, Args: []string{"/usr/bin/" + name, "600"}}
		}},
		{"the kernel's, as a script's", func(dir string) *exec.Cmd {
			path := filepath.Join(dir, name)
			check(t, os.WriteFile(path, []byte("#!/bin/sh\necho runs\nread nothing\n"), 0o755))
			return &exec.Cmd{Path: path, Args: []string{path}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			victim := tt.command(t.TempDir())
			stdin, err := victim.StdinPipe()
			check(t, err)
			defer stdin.Close()
			check(t, victim.Start())
			ended := make(chan error, 1)
			go func() { ended <- victim.Wait() }()
			running(t, victim.Process.Pid, name)
			if sent, err := Kill([]string{"kx-nobody", name}, false, syscall.SIGTERM); sent != 1 || err != nil {
				t.Errorf("have %d, %v, want 1 process", sent, err)
			}
			select {
			case err := <-ended:
				if fmt.Sprint(err) != "signal: terminated" {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(patience):
				t.Error("it did not end")
				check(t, victim.Process.Kill())
			}
		})
	}
}

// running waits until a started process has its final name.
func running(t *testing.T, pid int, name string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if p, ok := readProc(filepath.Join(procfs, strconv.Itoa(pid))); ok && p.called([]string{name}) {
			return
		}
	}
	t.Fatalf("process %d is not called %s", pid, name)
}

// fakeProc creates a directory like /proc from lines of the form "pid ppid
// state argv0 comm = exe".
func fakeProc(t *testing.T, lines string) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "sys"), 0o755))
	for s := bufio.NewScanner(strings.NewReader(strings.TrimSpace(lines))); s.Scan(); {
		left, exe, _ := strings.Cut(s.Text(), " = ")
		f := strings.SplitN(left, " ", 5)
		process := filepath.Join(dir, f[0])
		check(t, os.Mkdir(process, 0o755))
		write(t, filepath.Join(process, "stat"), fmt.Sprintf("%s (%s) %s %s 1 1 0\n", f[0], f[4], f[2], f[1]))
		write(t, filepath.Join(process, "cmdline"), f[3]+"\x00-x\x00")
		check(t, os.Symlink(exe, filepath.Join(process, "exe")))
	}
	return dir
}

// aPod is a shared process namespace: pause, a shell with this process (9), an
// envoy with a child, a script, and a zombie.
const aPod = `
1 0 S /pause pause = /pause
7 0 S sh sh = /bin/busybox
9 7 S proa proa = /bin/koordinator
20 0 S envoy envoy = /usr/bin/envoy
21 20 S envoy wrk:worker_0 = /usr/bin/envoy
30 0 S /bin/sh side) S 1.sh = /bin/busybox
40 0 Z - envoy = /none
50 0 S ./x y = /opt/proxy (deleted)
`

func TestTargets(t *testing.T) {
	pod, err := readTable(fakeProc(t, aPod))
	check(t, err)
	for _, tt := range []struct {
		name  string
		names []string
		all   bool
		want  []int
	}{
		{name: "all but the sandbox, our ancestors and we", all: true, want: []int{20, 21, 30, 50}},
		{name: "an executable", names: []string{"envoy"}, want: []int{20, 21}},
		{name: "a shell that is not ours", names: []string{"sh"}, want: []int{30}},
		{name: "a script with a bracket in its name", names: []string{"side) S 1.sh"}, want: []int{30}},
		{name: "several", names: []string{"proxy", "envoy"}, want: []int{20, 21, 50}},
		{name: "never the sandbox", names: []string{"pause"}},
		{name: "never ourselves", names: []string{"proa", "koordinator"}},
		{name: "nobody"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, pod.targets(9, tt.names, tt.all)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestNothingIsKilledInTheNodesOwnNamespace(t *testing.T) {
	if _, err := readTable(fakeProc(t, "1 0 S /sbin/init systemd = /sbin/init\n2 0 S - kthreadd = /none\n")); err == nil {
		t.Error("have no error")
	}
	if _, err := readTable(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("have no error without /proc")
	}
}
