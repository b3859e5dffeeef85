package record

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Process is a process as the kernel tells it from others: its number, which
// may be given anew, and when it began. It means something only where the
// number does, in the same container.
type Process struct {
	PID   int    `json:"pid"`
	Began uint64 `json:"began"` // clock ticks since the machine's start, proc_pid_stat(5)
}

// Self is this process. It stays the same process when it executes another
// program.
func Self() (Process, error) {
	began, err := beganAt(os.Getpid())
	return Process{os.Getpid(), began}, err
}

// lives tells whether the process is still there.
func (p *Process) lives() bool {
	if p == nil {
		return false
	}
	began, err := beganAt(p.PID)
	return err == nil && began == p.Began
}

// beganAt reads field 22 of /proc/PID/stat. The second field, the name, may
// contain anything; the last ")" ends it.
func beganAt(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read when the process began: %w", err)
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const at = 22 - 3 // the first field here is the third
	if len(fields) <= at {
		return 0, fmt.Errorf("read when the process began: %d fields in /proc/%d/stat", len(fields), pid)
	}
	return strconv.ParseUint(string(fields[at]), 10, 64)
}
