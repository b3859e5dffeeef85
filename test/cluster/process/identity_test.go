package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStartTime(t *testing.T) {
	rest := " 1 7 7 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 4242 1000 10"
	tests := []struct {
		name, stat string
		want       uint64
		wrong      bool
	}{
		{name: "plain", stat: "7 (sleep) S" + rest, want: 4242},
		{name: "blanks and parentheses in the name", stat: "7 (a) R 9 (b) Z" + rest, want: 4242},
		{name: "no name", stat: "7 sleep S" + rest, wrong: true},
		{name: "too short", stat: "7 (sleep) S 1 2 3", wrong: true},
		{name: "start time is no number", stat: "7 (sleep) S" + strings.Replace(rest, "4242", "x", 1), wrong: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := startTime([]byte(test.stat))
			if (err != nil) != test.wrong || got != test.want {
				t.Errorf("got %d, error %v", got, err)
			}
		})
	}
}

// wait is the timeout for each step.
const wait = 5 * time.Minute

// startScript runs a shell script with [Start] and returns once it has written its first word.
func startScript(t *testing.T, script string) Identity {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	identity, err := Start([]string{"/bin/sh", "-c", script}, []string{"PATH=/usr/bin:/bin"}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = identity.Stop(0) })
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if said, err := os.ReadFile(log); err == nil && len(said) > 0 {
			return identity
		}
	}
	t.Fatal("the script does not start")
	return identity
}

func TestStopIsPoliteFirst(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "marker")
	identity := startScript(t, "trap 'echo > "+marker+"; exit' TERM; echo ready; while :; do sleep 0.01; done")
	if !identity.Alive() {
		t.Fatal("not alive")
	}
	if err := identity.Stop(wait); err != nil {
		t.Fatal(err)
	}
	if identity.Alive() {
		t.Error("alive after Stop")
	}
	if _, err := os.Stat(marker); err != nil {
		t.Errorf("SIGTERM was not seen: %v", err)
	}
	if err := identity.Stop(wait); err != nil {
		t.Errorf("stop again: %v", err)
	}
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	identity := startScript(t, "trap '' TERM; echo ready; while :; do sleep 0.01; done")
	if err := identity.Stop(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if identity.Alive() {
		t.Error("alive after SIGKILL")
	}
}

func TestAnotherProcessWithTheSamePIDIsLeftAlone(t *testing.T) {
	identity := startScript(t, "echo ready; while :; do sleep 0.01; done")
	for name, other := range map[string]Identity{
		"earlier start": {PID: identity.PID, Start: identity.Start - 1, Boot: identity.Boot},
		"earlier boot":  {PID: identity.PID, Start: identity.Start, Boot: "00000000-0000-0000-0000-000000000000"},
	} {
		if other.Alive() {
			t.Errorf("%s: alive", name)
		}
		if err := other.Stop(0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !identity.Alive() {
		t.Error("the process was stopped for another")
	}
}

func TestNoProcessIsNotEveryProcess(t *testing.T) {
	for _, pid := range []int{0, -1} {
		if err := (Identity{PID: pid}).Signal(unix.SIGKILL); err == nil {
			t.Errorf("process %d can be signalled", pid)
		}
	}
}

func TestZombieIsNotAlive(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "read x")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	identity, err := Of(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	_ = stdin.Close()
	if !identity.Ended(wait) {
		t.Fatal("does not end")
	}
	// The test has not waited for the process yet, so it is a zombie now.
	if identity.Alive() {
		t.Error("a zombie is alive")
	}
	_ = cmd.Wait()
}

// TestMain lets the test binary act as a program with many threads that replaces itself by
// another one.
func TestMain(m *testing.M) {
	if os.Getenv("REPLACE_ITSELF") == "" {
		os.Exit(m.Run())
	}
	busy := make(chan struct{})
	for range 8 {
		go func() {
			runtime.LockOSThread() // one thread for each
			<-busy
		}()
	}
	go func() {
		runtime.LockOSThread() // not on the first thread, which becomes a zombie while the others end
		_ = unix.Exec("/bin/sleep", []string{"sleep", "1000"}, nil)
		os.Exit(1)
	}()
	<-busy
}

func TestAliveWhileAnotherProgramTakesOver(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		identity, err := Start([]string{self}, []string{"REPLACE_ITSELF=1"}, filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		command := []byte{}
		for deadline := time.Now().Add(wait); !bytes.HasPrefix(command, []byte("sleep")); {
			if !identity.Alive() || time.Now().After(deadline) {
				t.Fatal("not alive while it is replaced")
			}
			command, _ = os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", identity.PID))
		}
		if err := identity.Stop(0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStartKeepsTheOutputAndTheEnvironmentOut(t *testing.T) {
	t.Setenv("LEAK", "leaked")
	log := filepath.Join(t.TempDir(), "deep", "log")
	for range 2 {
		identity, err := Start([]string{"/bin/sh", "-c", "echo out-$LEAK; echo err >&2"}, nil, log)
		if err != nil {
			t.Fatal(err)
		}
		if !identity.Ended(wait) {
			t.Fatal("does not end")
		}
	}
	if said, err := os.ReadFile(log); err != nil || string(said) != "out-\nerr\nout-\nerr\n" {
		t.Errorf("log %q, error %v", said, err)
	}
}
