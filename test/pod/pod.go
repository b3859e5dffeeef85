// Package pod runs wrappers as the containers of a pod run them, without
// Kubernetes: each container is PID 1 of its own PID namespace (or shares the
// pod's), has its own root file system, and finds binary, records and
// termination message mounted where the webhook would have mounted them. The
// containers share the records' volume and the host's network.
//
// It needs Linux and root. Whatever uses it calls Helper first in main or
// TestMain, since containers begin as the calling program.
package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// shm is the host's tmpfs: records lie in memory, as in a pod.
const shm = "/dev/shm"

// tmpfsMagic is statfs(2)'s type of a tmpfs.
const tmpfsMagic = 0x01021994

// Pod is a pod's shared part. Its methods may be called from any goroutine.
type Pod struct {
	dir    string // everything of this pod on the host
	spawn  chan func()
	closed sync.Once
	pause  *exec.Cmd // PID 1 of a shared PID namespace, else nil

	mu      sync.Mutex
	started []*Running
	cgroups []string
}

// New makes a pod whose containers run the binary given, a koordinator.
// Close removes it.
func New(binary string) (*Pod, error) {
	var system unix.Statfs_t
	if err := unix.Statfs(shm, &system); err != nil || system.Type != tmpfsMagic {
		return nil, fmt.Errorf("%s is no tmpfs (%w): mount one", shm, errors.Join(err))
	}
	dir, err := os.MkdirTemp(shm, "pod-")
	if err != nil {
		return nil, err
	}
	p := &Pod{dir: dir, spawn: make(chan func())}
	if err := p.fill(binary); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("make pod: %w", err)
	}
	go p.spawner()
	return p, nil
}

// fill makes the pod's directories and copies the programs: the one given, and
// the network program that lies beside it.
func (p *Pod) fill(binary string) error {
	for _, dir := range []string{"bin", "records", "roots", "messages"} {
		if err := os.Mkdir(filepath.Join(p.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(p.Records(), 0o777); err != nil {
		return err
	}
	for _, name := range []string{spec.BinaryName, spec.NetworkName} {
		from := binary
		if name != spec.BinaryName {
			from = filepath.Join(filepath.Dir(binary), name)
		}
		data, err := os.ReadFile(from)
		if errors.Is(err, fs.ErrNotExist) && name != spec.BinaryName {
			continue // a koordinator of one file
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(p.dir, "bin", name), data, 0o555)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spawner starts every process of the pod. They die with the thread that
// started them, so that nothing is left of a test that crashed: one thread,
// until Close.
func (p *Pod) spawner() {
	runtime.LockOSThread()
	for start := range p.spawn {
		start()
	}
}

// do runs start on the spawner's thread.
func (p *Pod) do(start func() error) error {
	done := make(chan error, 1)
	p.spawn <- func() { done <- start() }
	return <-done
}

// Records is the records' volume on the host: one directory a container.
func (p *Pod) Records() string { return filepath.Join(p.dir, "records") }

// Share makes one PID namespace for all containers started later, with a pause
// process as its PID 1 (shareProcessNamespace).
func (p *Pod) Share() error {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{helperEnv + `={"pause":true}`}
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	if err := p.do(cmd.Start); err != nil {
		return fmt.Errorf("start pause: %w", err)
	}
	p.pause = cmd
	return p.do(func() error { return enter(cmd.Process.Pid) })
}

// enter makes the PID namespace of a process that of the calling thread's
// children.
func enter(pid int) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	return os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID))
}

// Close kills what still runs and removes the pod. It may be called twice.
func (p *Pod) Close() error {
	var err error
	p.closed.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range p.started {
			r.Kill()
			<-r.done
		}
		if p.pause != nil {
			p.pause.Process.Kill()
			p.pause.Wait() // its code says only that it was killed
		}
		close(p.spawn)
		err = errors.Join(p.unlimit(), os.RemoveAll(p.dir))
	})
	return err
}
