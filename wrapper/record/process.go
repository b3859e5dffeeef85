package record

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Process identifies a process: by its PID, which may be reused, and by its
// start time. It is meaningful only where the PID is, that is, in the same
// container.
type Process struct {
	PID   int    `json:"pid"`
	Began uint64 `json:"began"` // clock ticks since the machine's start, proc_pid_stat(5)
}

// Self returns this process. Its identity does not change when it executes
// another program.
func Self() (Process, error) {
	began, err := beganAt(os.Getpid())
	return Process{os.Getpid(), began}, err
}

// lives reports whether the process still exists.
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
