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

// procfs is the directory with the kernel's information on processes (proc(5)).
const procfs = "/proc"

// sandbox is the PID of the process that keeps a shared process namespace:
// pause. If it ended, the pod would end.
const sandbox = 1

// Kill sends a signal to every process with one of these names, or to all, in
// the pod's process namespace (shareProcessNamespace), and returns how many
// received it. The names of a process are the base names of its executable and
// of its first argument, and the kernel's name (comm).
//
// It never signals the namespace's first process, this process and its
// ancestors. In the node's own namespace (hostPID) it returns an error.
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
		case !errors.Is(err, unix.ESRCH): // otherwise it has ended by itself
			errs = append(errs, fmt.Errorf("kill process %d (%s): %w", pid, table.processes[pid].comm, err))
		}
	}
	return sent, errors.Join(errs...)
}

// signalOne sends a signal to a process if still confirms it. It calls still
// only after it has opened the process, because the PID could otherwise be
// reused in between.
func signalOne(pid int, signal syscall.Signal, still func() bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer os.NewFile(uintptr(fd), "process").Close()
	}
	forbidden := errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) // an old kernel or a seccomp profile may not allow it
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

// table contains the processes.
type table struct {
	dir       string
	processes map[int]proc
}

// proc is one process.
type proc struct {
	parent int
	comm   string // the kernel's name, at most 15 bytes
	exe    string // base name of the executable; "" if it cannot be read
	argv0  string // base name of the first argument
}

// called reports whether a process has one of these names.
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

// readProc reads one process. It returns false if the process has ended.
func readProc(dir string) (proc, bool) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return proc{}, false
	}
	// "pid (comm) state ppid …", where comm may contain any character.
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

// targets returns the PIDs to signal, in ascending order.
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

// still reports whether a process must still be signaled.
func (t table) still(pid int, names []string, all bool) bool {
	now, ok := readProc(filepath.Join(t.dir, strconv.Itoa(pid)))
	return ok && (all || now.called(names))
}
