package record

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// TestMain lets the test binary act as a wrapper in a separate process, because
// the kernel's locks belong to processes.
func TestMain(m *testing.M) {
	if dir := os.Getenv("RECORD_TEST_WATCHER"); dir != "" {
		watchInTurn(dir)
		return
	}
	if dir := os.Getenv("RECORD_TEST_WRAPPER"); dir != "" {
		r, err := create(dir, true)
		if err == nil {
			err = r.Update(State{Phase: "waiting", For: []string{"proxy to be ready"}})
		}
		if err != nil {
			panic(err)
		}
		os.Stdout.WriteString("up\n")
		os.Stdin.Read(make([]byte, 1)) // until told to continue
		if argv := os.Getenv("RECORD_TEST_REPLACE"); argv != "" {
			replaceWith(r, argv)
		}
		if os.Getenv("RECORD_TEST_START") != "" {
			if err := r.Update(State{Phase: "running", Started: true}); err != nil {
				panic(err)
			}
			os.Stdin.Read(make([]byte, 1))
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// create is Create for a container that is not part of a pod. killedForGood
// reports whether it permanently exits when it is killed.
func create(dir string, killedForGood bool) (*Record, error) {
	restart := spec.Restart{Policy: spec.RestartAlways}
	if killedForGood {
		restart.Policy = spec.RestartNever
	}
	r, err := Create(dir, "", restart)
	keep.Lock()
	defer keep.Unlock()
	kept = append(kept, r)
	return r, err
}

// kept contains the records of all tests: the garbage collector would close the
// files of a record that a test no longer uses, as if its wrapper had died.
var (
	keep sync.Mutex
	kept []*Record
)

// replaceWith acts as a wrapper that tries to replace itself with a program. If
// that fails, it exits with code 127 on request.
func replaceWith(r *Record, program string) {
	self, err := Self()
	if err == nil {
		err = r.Update(State{Phase: "running", Started: true, Ready: true, Process: &self})
	}
	if err == nil {
		err = r.Inherit(true)
	}
	if err != nil {
		panic(err)
	}
	os.Stdin.Read(make([]byte, 1))
	_ = syscall.Exec(program, []string{program, "1000"}, nil)
	if err := r.Update(State{Phase: "exited", Exit: &Exit{Code: 127, ForGood: true}}); err != nil {
		panic(err)
	}
	os.Stdin.Read(make([]byte, 1))
	os.Exit(127)
}

// gate runs Gate and returns a channel with its result.
func gate(dir string, most time.Duration) <-chan error { return gateBetween(dir, most, most) }

func gateBetween(dir string, first, most time.Duration) <-chan error {
	out := make(chan error, 1)
	go func() { _, err := Gate(dir, first, most); out <- err }()
	return out
}

func still(t *testing.T, out <-chan error) {
	t.Helper()
	select {
	case err := <-out:
		t.Fatalf("the gate returned %v, want it to block", err)
	case <-time.After(100 * time.Millisecond): // proves absence
	}
}

func result(t *testing.T, out <-chan error) error {
	t.Helper()
	select {
	case err := <-out:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the gate blocks, want it to return")
		return nil
	}
}

func TestGateBlocksUntilStarted(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	out := gate(dir, time.Minute)
	still(t, out)
	if err := r.Update(State{Phase: "waiting", For: []string{"a to exit"}}); err != nil {
		t.Fatal(err)
	}
	still(t, out)
	if err := r.Update(State{Phase: "running", Started: true}); err != nil {
		t.Fatal(err)
	}
	if err := result(t, out); err != nil {
		t.Fatalf("gate after the start: %v", err)
	}
	if _, err := Gate(dir, time.Second, time.Second); err != nil {
		t.Fatalf("gate long after the start: %v", err)
	}
}

func TestGateSaysWhatIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "waiting", For: []string{"proxy to be ready", "migrate to succeed"}}); err != nil {
		t.Fatal(err)
	}
	_, err = Gate(dir, 50*time.Millisecond, time.Minute)
	if err == nil || !regexp.MustCompile(`^waiting \d+s for: proxy to be ready, migrate to succeed$`).MatchString(err.Error()) {
		t.Fatalf("gate: %v", err)
	}
}

// TestGateIsShutForLongerEachTime calls the gate again and again, as the kubelet
// does. Each call must block for twice the time that the container has waited.
func TestGateIsShutForLongerEachTime(t *testing.T) {
	dir := t.TempDir()
	begun := time.Now()
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	exists := time.Now()
	for range 3 {
		called := time.Now()
		if err := result(t, gateBetween(dir, time.Millisecond, time.Minute)); err == nil {
			t.Fatal("the gate passed")
		}
		if blocked, waited := time.Since(called), called.Sub(exists); blocked < 2*waited {
			t.Errorf("blocked for %s, want twice the time before the call, which is between %s and %s", blocked, waited, called.Sub(begun))
		}
	}
	if err := r.Update(State{Phase: "running", Started: true}); err != nil {
		t.Fatal(err)
	}
	if err := result(t, gate(dir, time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// TestGateAnswersSoonIfItIsFirstCalledLate uses a container whose first probe
// comes late, as on a busy node: the kubelet may have no more events for the pod
// by the time of a late answer.
func TestGateAnswersSoonIfItIsFirstCalledLate(t *testing.T) {
	dir := t.TempDir()
	if _, err := create(dir, false); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	if err := result(t, gateBetween(dir, time.Millisecond, time.Hour)); err == nil {
		t.Fatal("the gate passed")
	}
}

func TestGateWithoutRecordWaitsForOne(t *testing.T) {
	dir := t.TempDir()
	out := gate(dir, time.Minute)
	still(t, out)
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "running", Started: true}); err != nil {
		t.Fatal(err)
	}
	if err := result(t, out); err != nil {
		t.Fatal(err)
	}
	_, err = Gate(t.TempDir(), 50*time.Millisecond, time.Minute)
	if err == nil || !strings.Contains(err.Error(), "not running in this container yet") {
		t.Fatalf("gate without any record: %v", err)
	}
}

func TestGateDoesNotBelieveADeadWrapper(t *testing.T) {
	for _, started := range []string{"", "yes"} {
		dir := t.TempDir()
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), "RECORD_TEST_WRAPPER="+dir, "RECORD_TEST_START="+started)
		in, _ := cmd.StdinPipe()
		stdout, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := stdout.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		out := gate(dir, time.Minute)
		still(t, out)
		if started != "" {
			in.Write([]byte("\n"))
			if err := result(t, out); err != nil {
				t.Fatalf("gate after the start: %v", err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		out = gate(dir, time.Minute)
		still(t, out)

		r, err := create(dir, false) // the next incarnation
		if err != nil {
			t.Fatal(err)
		}
		still(t, out)
		if err := r.Update(State{Phase: "running", Started: true}); err != nil {
			t.Fatal(err)
		}
		if err := result(t, out); err != nil {
			t.Fatal(err)
		}
	}
}

func TestGateSurvivesWhatIsNotARecord(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"a FIFO":          func(p string) error { return unix.Mkfifo(p, 0o666) },
		"a symbolic link": func(p string) error { return os.Symlink("/dev/zero", p) },
		"a directory":     func(p string) error { return os.Mkdir(p, 0o755) },
		"garbage":         func(p string) error { return os.WriteFile(p, []byte("{"), 0o644) },
		"a huge file":     func(p string) error { return os.WriteFile(p, make([]byte, maxSize+1), 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := plant(filepath.Join(dir, "record")); err != nil {
				t.Fatal(err)
			}
			if err := result(t, gate(dir, 100*time.Millisecond)); err == nil {
				t.Fatal("the gate passed")
			}
		})
	}
}

func TestARecordOfTheLargestSizeIsRead(t *testing.T) {
	dir := t.TempDir()
	for size, want := range map[int]string{maxSize: "", maxSize + 1: "larger than 64 KiB"} {
		content := `{"phase":"running"}`
		content += strings.Repeat(" ", size-len(content))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = decode(f)
		f.Close()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: error %v, want %q", size, err, want)
		}
	}
}

func TestCreateLeavesNoOtherFileBehind(t *testing.T) {
	dir := t.TempDir()
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := r.Update(State{Phase: "waiting", For: []string{"x"}}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("have %v, %v, want the record alone", entries, err)
	}
	if _, err := create(filepath.Join(dir, "missing"), false); err == nil {
		t.Fatal("created a record in a directory that is not there")
	}
}
