package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The directories of the pids controller's cgroups, for version 1 and 2.
const (
	pidsCgroups = "/sys/fs/cgroup/pids"
	allCgroups  = "/sys/fs/cgroup"
)

// limit creates a cgroup for a container with at most most processes and threads, and
// returns its directory.
func (p *Pod) limit(container string, most int) (string, error) {
	parent := pidsCgroups
	if _, err := os.Stat(parent); err != nil {
		parent = allCgroups
		if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+pids"), 0); err != nil {
			return "", fmt.Errorf("limit processes: %w", err)
		}
	}
	dir, err := os.MkdirTemp(parent, filepath.Base(p.dir)+"-"+container+"-")
	if err != nil {
		return "", fmt.Errorf("limit processes: %w", err)
	}
	p.mu.Lock()
	p.cgroups = append(p.cgroups, dir)
	p.mu.Unlock()
	return dir, os.WriteFile(filepath.Join(dir, "pids.max"), []byte(strconv.Itoa(most)), 0)
}

// unlimit removes the pod's cgroups after their processes have ended. For a moment after
// that, the kernel still reports a cgroup as busy.
func (p *Pod) unlimit() error {
	var last error
	for _, dir := range p.cgroups {
		for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			last = unix.Rmdir(dir)
			if !errors.Is(last, unix.EBUSY) || time.Now().After(end) {
				break
			}
		}
	}
	return last
}

// obey applies the container's limits to this process, and thus to the program that it becomes.
func (s setup) obey() error {
	if s.Cgroup != "" {
		if err := os.WriteFile(filepath.Join(s.Cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// limitFiles limits the descriptors of this process, which must already have all that it needs.
func (s setup) limitFiles() error {
	if s.Descriptors == 0 {
		return nil
	}
	most := unix.Rlimit{Cur: s.Descriptors, Max: s.Descriptors}
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &most))
}
