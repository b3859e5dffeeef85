package pod

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is the timeout for each step. No step takes this long, but the machine may be busy.
const patience = 5 * time.Minute

// binaryEnv is the variable with the wrapper that TestMain has built. If it is already set,
// the tests use that wrapper instead.
const binaryEnv = "POD_TEST_BINARY"

// TestMain builds the wrapper once for all tests, or acts as a part (parts_test.go).
func TestMain(m *testing.M) {
	Helper()
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "part-") {
		os.Exit(play(os.Args[1]))
	}
	os.Exit(tests(m))
}

// tests runs the tests with a wrapper built for them.
func tests(m *testing.M) int {
	if os.Getenv(binaryEnv) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "pod-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, err := Build("../..", dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(binaryEnv, binary)
	return m.Run()
}

// newPod creates a pod that is closed when the test ends.
func newPod(t *testing.T) *Pod {
	t.Helper()
	p, err := New(os.Getenv(binaryEnv))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// start starts a container in a pod.
func start(t *testing.T, p *Pod, c Container) *Running {
	t.Helper()
	if c.Name == "" {
		c.Name = "app"
	}
	r, err := p.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sh returns a shell script as a command.
func sh(script string) []string { return []string{"sh", "-c", script} }

// run runs a shell script in a separate container until it ends.
func run(t *testing.T, script string) *Running {
	t.Helper()
	r := start(t, newPod(t), Container{Command: sh(script)})
	ends(t, r)
	return r
}

// ends waits for a container's end.
func ends(t *testing.T, r *Running) Exit {
	t.Helper()
	select {
	case <-r.Done():
		return r.Wait()
	case <-time.After(patience):
		t.Fatalf("the container does not end; stderr: %s", r.Stderr())
		return Exit{}
	}
}

// exits waits for a container's end with a code.
func exits(t *testing.T, r *Running, code int) {
	t.Helper()
	if e := ends(t, r); e.Code != code {
		t.Fatalf("exit code %d, want %d; stdout %q, stderr %q", e.Code, code, r.Stdout(), r.Stderr())
	}
}

// says waits until a container has written a text to standard output.
func says(t *testing.T, r *Running, text string) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(r.Stdout(), text) },
		func() string { return fmt.Sprintf("stdout %q, want %q in it; stderr %q", r.Stdout(), text, r.Stderr()) })
}

// eventually polls until ok returns true.
func eventually(t *testing.T, ok func() bool, message func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(message())
		}
	}
}

// inside runs a program in a container, as kubectl exec does.
func inside(t *testing.T, r *Running, argv ...string) {
	t.Helper()
	args := append([]string{"--target", fmt.Sprint(r.PID), "--mount", "--pid", "--"}, argv...)
	if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
		t.Fatalf("%q in the container: %v: %s", argv, err, out)
	}
}

// executable returns the program that a process runs.
func executable(pid int) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return ""
	}
	return name
}

// catches reports whether a process has a handler for a signal (SigCgt in proc_pid_status(5)).
func catches(pid int, sig syscall.Signal) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), "SigCgt:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return err == nil && mask&(1<<(sig-1)) != 0
}
