package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// partsCgroup is the child that holds the parts themselves. The kubelet places the pods in
// another child, because version 2 allows processes only in leaves.
const partsCgroup = "parts"

// Cgroup is a cgroup of the same name in every mounted hierarchy, version 1 and 2.
type Cgroup struct {
	// name is the path below the top of a hierarchy.
	name string
	dirs []string
}

// OpenCgroup finds the directories of the cgroup called name, which may be a path of
// several names. They need not exist.
func OpenCgroup(name string) (Cgroup, error) {
	all, err := mounts()
	if err != nil {
		return Cgroup{}, err
	}
	group := Cgroup{name: name}
	for _, m := range all {
		if m.fstype == "cgroup" || m.fstype == "cgroup2" {
			group.dirs = append(group.dirs, filepath.Join(m.point, name))
		}
	}
	if len(group.dirs) == 0 {
		return Cgroup{}, errors.New("find cgroups: no cgroup file system is mounted")
	}
	return group, nil
}

// Create creates the cgroup, its missing parents and its child for the parts.
func (g Cgroup) Create() error {
	for _, dir := range g.dirs {
		dir = strings.TrimSuffix(dir, "/"+g.name)
		for name := range strings.SplitSeq(filepath.Join(g.name, partsCgroup), "/") {
			dir = filepath.Join(dir, name)
			if err := enableControllers(filepath.Dir(dir)); err != nil {
				return err
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			if err := inheritCpuset(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// enableControllers enables all controllers of a version 2 cgroup for its children, because
// the kubelet expects them. It does nothing in other hierarchies.
func enableControllers(dir string) error {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(controllers)) {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+name), 0); err != nil {
			return fmt.Errorf("enable cgroup controller %s: %w", name, err)
		}
	}
	return nil
}

// inheritCpuset copies CPUs and memory nodes from the parent of dir. A version 1 cpuset is
// empty at first, and rejects processes in this state.
func inheritCpuset(dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if errors.Is(err, fs.ErrNotExist) || len(bytes.TrimSpace(own)) > 0 {
			continue
		}
		parents, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err != nil || len(bytes.TrimSpace(parents)) == 0 {
			continue // version 2, in which an empty set stands for the parent's set
		}
		if err := os.WriteFile(filepath.Join(dir, file), parents, 0); err != nil {
			return err
		}
	}
	return nil
}

// Join moves the calling process into the cgroup. Processes that it starts later belong to
// the cgroup, too.
func (g Cgroup) Join() error {
	for _, dir := range g.dirs {
		file := filepath.Join(dir, partsCgroup, "cgroup.procs")
		if err := os.WriteFile(file, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}

// processes returns the PIDs of the processes in the child and below it, each once. If
// child is empty, it returns those of the whole cgroup.
func (g Cgroup) processes(child string) []int {
	var pids []int
	for _, dir := range g.folders(child) {
		raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue // the directory was removed after it was listed
		}
		for field := range strings.FieldsSeq(string(raw)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// KillPods kills everything in the cgroup except the parts and their own child processes.
// pods is the child that the kubelet created.
func (g Cgroup) KillPods(pods string) error { return g.kill(pods) }

// Kill kills every process in the cgroup and waits until none is left. No process sees the
// end of another one.
func (g Cgroup) Kill() error { return g.kill("") }

// kill freezes the child, sends SIGKILL to all its processes and thaws it, until it is empty.
func (g Cgroup) kill(child string) error {
	deadline := time.Now().Add(time.Minute)
	for {
		g.freeze(child, true)
		pids := g.processes(child)
		for _, pid := range pids {
			if err := g.killMember(pid); err != nil {
				return err
			}
		}
		g.freeze(child, false)
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill cgroup: processes %v still run a minute after SIGKILL", pids)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freeze stops the processes in the child and below it, or lets them continue. Version 1 has
// the file freezer.state, and version 2 cgroup.freeze; the other files do not exist. In
// version 1, a child that was frozen itself must be thawed itself.
func (g Cgroup) freeze(child string, frozen bool) {
	one, two := "THAWED", "0"
	if frozen {
		one, two = "FROZEN", "1"
	}
	for _, dir := range g.folders(child) {
		_ = os.WriteFile(filepath.Join(dir, "freezer.state"), []byte(one), 0)
		_ = os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte(two), 0)
	}
}

// killMember kills the process pid if it is still in the cgroup after a descriptor of it
// was opened, which protects its PID from reuse.
func (g Cgroup) killMember(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil // the process has ended
	}
	defer unix.Close(fd)
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(groups), "/"+g.name+"/") {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// Remove removes the cgroup, which must be empty, from every hierarchy.
func (g Cgroup) Remove() error {
	var last error
	// The kernel may report a cgroup as busy for a moment after its last process has ended.
	for range 100 {
		last = nil
		folders := g.folders("")
		slices.Reverse(folders)
		for _, dir := range folders {
			if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
				last = fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
		}
		if last == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return last
}

// Exists reports whether the cgroup exists in any hierarchy.
func (g Cgroup) Exists() bool { return len(g.folders("")) > 0 }

// folders returns the directories of the child and below it in all hierarchies, parents first.
func (g Cgroup) folders(child string) []string {
	var found []string
	for _, dir := range g.dirs {
		_ = filepath.WalkDir(filepath.Join(dir, child), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			return nil // a directory that disappears during the walk needs no removal
		})
	}
	return found
}
