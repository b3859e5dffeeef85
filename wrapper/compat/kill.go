package compat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// procfs is where the kernel shows its processes (proc(5)).
const procfs = "/proc"

// sandbox is the process that keeps a shared process namespace: pause. Its end
// would be the pod's.
const sandbox = 1

// Kill sends a signal to every process of one of these names, or to all, in the
// pod's process namespace (shareProcessNamespace), and tells how many got it. A
// process has the name of its executable, of its first argument without the
// path, and the kernel's (comm).
//
// It never touches the namespace's first process, this one and its ancestors. In
// the node's own namespace (hostPID) it refuses to do anything.
func Kill(names []string, all bool, signal syscall.Signal) (sent int, err error) {
	table, err := readTable(procfs)
	if err != nil {
		return 0, fmt.Errorf("kill: %w", err)
	}
	var errs []error
	for _, pid := range table.targets(os.Getpid(), names, all) {
		switch err := signalOne(pid, signal, func() bool { return table.still(pid, names, all) }); {
		case err == nil:
			sent++
		case !errors.Is(err, unix.ESRCH): // else it has ended by itself
			errs = append(errs, fmt.Errorf("kill process %d (%s): %w", pid, table.processes[pid].comm, err))
		}
	}
	return sent, errors.Join(errs...)
}

// signalOne sends a signal to a process that is still what it was: it is asked
// once the process is held, so that its number cannot be another's by then.
func signalOne(pid int, signal syscall.Signal, still func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer os.NewFile(uintptr(fd), "process").Close()
	}
	forbidden := errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) // a sandbox may not know it
	switch {
	case err != nil && !forbidden:
		return err
	case !still():
		return unix.ESRCH
	case forbidden:
		return unix.Kill(pid, signal)
	}
	return unix.PidfdSendSignal(fd, signal, nil, 0)
}

// table is what there is of processes.
type table struct {
	dir       string
	processes map[int]proc
}

// proc is one process.
type proc struct {
	parent int
	comm   string // the kernel's name, at most 15 bytes
	exe    string // base name of the executable, "" where we may not know
	argv0  string // base name of the first argument
}

// called tells whether a process has one of these names.
func (p proc) called(names []string) bool {
	return slices.Contains(names, p.comm) ||
		p.exe != "" && slices.Contains(names, p.exe) ||
		p.argv0 != "" && slices.Contains(names, p.argv0)
}

// readTable reads all processes that have not ended.
func readTable(dir string) (table, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return table{}, err
	}
	t := table{dir, map[int]proc{}}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := readProc(filepath.Join(dir, e.Name())); ok {
			t.processes[pid] = p
		}
	}
	if t.processes[2].comm == "kthreadd" {
		return table{}, errors.New("this is the node's own process namespace: remove hostPID from the pod and set shareProcessNamespace")
	}
	return t, nil
}

// readProc reads one process. It is false for one that has ended.
func readProc(dir string) (proc, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return proc{}, false
	}
	// "pid (comm) state ppid …", where comm may have anything in it.
	text := string(stat)
	from, to := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if from < 0 || to < from {
		return proc{}, false
	}
	fields := strings.Fields(text[to+1:])
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return proc{}, false
	}
	p := proc{comm: text[from+1 : to]}
	if p.parent, err = strconv.Atoi(fields[1]); err != nil {
		return proc{}, false
	}
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		p.exe = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	if cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil {
		first, _, _ := strings.Cut(string(cmdline), "\x00")
		if first != "" {
			p.argv0 = filepath.Base(first)
		}
	}
	return p, true
}

// targets are the processes to signal, in order of their numbers.
func (t table) targets(self int, names []string, all bool) []int {
	spared := map[int]bool{sandbox: true}
	for pid := self; pid > 0 && (pid == self || !spared[pid]); pid = t.processes[pid].parent {
		spared[pid] = true
	}
	var pids []int
	for pid, p := range t.processes {
		if !spared[pid] && (all || p.called(names)) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// still tells whether a process is one to signal.
func (t table) still(pid int, names []string, all bool) bool {
	now, ok := readProc(filepath.Join(t.dir, strconv.Itoa(pid)))
	return ok && (all || now.called(names))
}
