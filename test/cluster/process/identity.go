// Package process starts, recognizes and stops processes that outlive the program that started them.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity identifies one process permanently. A PID alone is not enough: it can be reused,
// and a record may be read after a reboot.
type Identity struct {
	PID int `json:"pid"`
	// Start is the start time in clock ticks since boot: field 22 of /proc/PID/stat, see proc_pid_stat(5).
	Start uint64 `json:"start"`
	// Boot is /proc/sys/kernel/random/boot_id of the boot in which Start was read.
	Boot string `json:"boot"`
}

// Of returns the identity of the process that currently has pid.
func Of(pid int) (Identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, err
	}
	start, err := startTime(stat)
	if err != nil {
		return Identity{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether the process still runs. A zombie counts as ended.
func (i Identity) Alive() bool { return !i.Ended(0) }

// Signal sends sig to the process and to no other. It does nothing when the process has ended.
func (i Identity) Signal(sig unix.Signal) error {
	return i.withDescriptor(func(fd int) error {
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("signal process %d: %w", i.PID, err)
		}
		return nil
	})
}

// Ended waits up to timeout for the end of the process and reports whether it has ended.
//
// It uses the descriptor instead of the state in /proc/PID/stat, because a program with
// several threads that replaces itself by another one briefly has the state of a zombie
// there.
func (i Identity) Ended(timeout time.Duration) bool {
	ended := true
	err := i.withDescriptor(func(fd int) error {
		deadline := time.Now().Add(timeout)
		for {
			left := max(0, time.Until(deadline))
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			ended = n > 0
			return err
		}
	})
	return ended && err == nil
}

// Stop ends the process: with SIGTERM, then with SIGKILL if it still runs after grace.
// Without grace, it is killed immediately.
func (i Identity) Stop(grace time.Duration) error {
	if grace > 0 {
		if err := i.Signal(unix.SIGTERM); err != nil {
			return err
		}
		if i.Ended(grace) {
			return nil
		}
	}
	if err := i.Signal(unix.SIGKILL); err != nil {
		return err
	}
	if !i.Ended(time.Minute) {
		return fmt.Errorf("stop process %d: it still runs a minute after SIGKILL", i.PID)
	}
	return nil
}

// withDescriptor calls use with a descriptor that always refers to the same process. The
// identity is checked after the descriptor was opened. A PID that was reused before that is
// detected, and one that is reused later does not matter. If the process has ended, use is
// not called.
func (i Identity) withDescriptor(use func(fd int) error) error {
	if i.PID <= 0 {
		return fmt.Errorf("process %d: not a process id", i.PID)
	}
	fd, err := unix.PidfdOpen(i.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", i.PID, err)
	}
	defer unix.Close(fd)
	if now, err := Of(i.PID); err != nil || now != i {
		return nil // the process has ended, and another process may have its PID
	}
	return use(fd)
}

// startTime extracts the start time from the contents of /proc/PID/stat. The command name
// in it may contain blanks and parentheses.
func startTime(stat []byte) (uint64, error) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("no command name")
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("%d fields after the command name, want at least 20", len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
