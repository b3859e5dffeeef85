package record

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// inSandbox runs a wrapper whose command has started, and kills it. With
// another, it runs in a network namespace of its own, which stands for another
// sandbox.
func inSandbox(t *testing.T, dir string, another bool) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "RECORD_TEST_WRAPPER="+dir, "RECORD_TEST_START=yes")
	if another {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	awaitText(t, filepath.Join(dir, name), `"started":true`)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}

func TestARecordOfAnEarlierSandboxCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	inSandbox(t, dir, true)
	if _, err := Read(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read: %v, want os.ErrNotExist", err)
	}
	if found := (Peers{Dir: filepath.Dir(dir), Names: []string{filepath.Base(dir)}}).Now(); len(found) > 0 {
		t.Errorf("found %+v, want nothing", found)
	}
	r, err := create(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Update(State{Phase: "waiting"}); err != nil {
		t.Fatal(err)
	}
	p, err := Read(dir)
	if err != nil || p.Before || p.Sandbox != sandbox() {
		t.Errorf("have %+v, %v, want a record of this sandbox that was never started before", p, err)
	}
}

func TestARecordOfThisSandboxOutlivesItsWrapper(t *testing.T) {
	dir := t.TempDir()
	inSandbox(t, dir, false)
	if p, err := Read(dir); err != nil || !p.Started || !p.Gone() {
		t.Errorf("have %+v, %v, want a started one that is gone", p, err)
	}
	if _, err := create(dir, false); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(dir); err != nil || !p.Before {
		t.Errorf("have %+v, %v, want one that was started before", p, err)
	}
}

func TestARecordOfAnUnknownSandboxIsBelieved(t *testing.T) {
	dir := t.TempDir()
	inSandbox(t, dir, false)
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	without := regexp.MustCompile(`"sandbox":[0-9]+,`).ReplaceAll(data, nil)
	if len(without) == len(data) {
		t.Fatalf("the record does not name its sandbox: %s", data)
	}
	if err := os.WriteFile(path, without, 0o644); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(dir); err != nil || !p.Started {
		t.Errorf("have %+v, %v, want a started one", p, err)
	}
}

// awaitText waits until a file contains text.
func awaitText(t *testing.T, path, text string) {
	t.Helper()
	var last []byte
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if last, _ = os.ReadFile(path); bytes.Contains(last, []byte(text)) {
			return
		}
	}
	t.Fatalf("%s never holds %s; last %s", path, text, last)
}
