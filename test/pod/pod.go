// Package pod runs wrappers like the containers of a pod, without Kubernetes. Each
// container is PID 1 of its own PID namespace (or shares the pod's), and has its own root
// file system. Binary, records and termination message are mounted at the same paths as by
// the webhook. The containers share the records' volume and the host's network.
//
// It needs Linux and root. Programs that use it must call Helper first in main or TestMain,
// because a container's first process begins as the calling program.
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

// shm is the host's tmpfs. It keeps the records in memory, as in a pod.
const shm = "/dev/shm"

// tmpfsMagic is the type of a tmpfs in statfs(2).
const tmpfsMagic = 0x01021994

// Pod holds the resources that the containers share. Its methods may be called from any goroutine.
type Pod struct {
	dir    string // directory of this pod on the host
	spawn  chan func()
	closed sync.Once
	pause  *exec.Cmd // PID 1 of a shared PID namespace, otherwise nil

	mu      sync.Mutex
	started []*Running
	cgroups []string
}

// New creates a pod whose containers run the given koordinator binary. Close removes the pod.
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

// fill creates the pod's directories and copies the programs: the given binary, and the
// network program in the same directory.
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
			continue // a koordinator without a separate network program
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

// spawner starts every process of the pod, from one thread that runs until Close. The
// processes end when this thread ends, so that nothing is left after a test has crashed.
func (p *Pod) spawner() {
	runtime.LockOSThread()
	for start := range p.spawn {
		start()
	}
}

// do calls start on the spawner's thread.
func (p *Pod) do(start func() error) error {
	done := make(chan error, 1)
	p.spawn <- func() { done <- start() }
	return <-done
}

// Records returns the records' volume on the host. It has one directory for each container.
func (p *Pod) Records() string { return filepath.Join(p.dir, "records") }

// Share creates one PID namespace for all containers that are started later, with a pause
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

// enter sets the PID namespace for new children of the calling thread to that of a process.
func enter(pid int) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		return err
	}
	defer ns.Close()
	return os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID))
}

// Close kills all running processes and removes the pod. It may be called twice.
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
			p.pause.Wait() // an error: the process was killed
		}
		close(p.spawn)
		err = errors.Join(p.unlimit(), os.RemoveAll(p.dir))
	})
	return err
}
