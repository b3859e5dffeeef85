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

// Where the pids controller's cgroups are: version 1, and 2.
const (
	pidsCgroups = "/sys/fs/cgroup/pids"
	allCgroups  = "/sys/fs/cgroup"
)

// limit makes a cgroup for a container that may have at most most processes and
// threads, and returns its directory.
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

// unlimit removes the pod's cgroups once their processes have ended. The kernel
// calls a cgroup busy for a moment after that.
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

// obey puts this process, and what it will become, under the container's limits.
func (s setup) obey() error {
	if s.Cgroup != "" {
		if err := os.WriteFile(filepath.Join(s.Cgroup, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}

// limitFiles bounds the descriptors of this process, which must have all it needs.
func (s setup) limitFiles() error {
	if s.Descriptors == 0 {
		return nil
	}
	most := unix.Rlimit{Cur: s.Descriptors, Max: s.Descriptors}
	return os.NewSyscallError("setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &most))
}
