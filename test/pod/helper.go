package pod

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// helperEnv is the variable that makes the program a container's first process.
const helperEnv = "POD_HELPER"

// setup describes a container for its first process. All paths except Dir and the keys of
// Files are paths on the host.
type setup struct {
	Pause bool `json:"pause,omitempty"` // act as the first process of a shared PID namespace

	Root     string // empty directory over which the container's root is mounted
	Bin      string // mounted at spec.BinDir
	Record   string // at spec.RecordDir
	Peers    string // at spec.PeersDir
	Message  string // at spec.Message
	Access   string // at spec.APIAccess, "" for no mount
	Scratch  bool
	Files    map[string]string
	ReadOnly bool

	Cgroup      string // cgroup to join, "" for none
	Descriptors uint64 // RLIMIT_NOFILE; 0 for no change

	UID      int
	DropCaps bool
	Dir      string
	Argv     []string // Argv[0] is a path
	Env      []string
}

// Helper becomes a container's first process and does not return if Start has started this
// program for that. Otherwise, it does nothing.
func Helper() {
	text := os.Getenv(helperEnv)
	if text == "" {
		return
	}
	runtime.LockOSThread() // credentials belong to a thread
	var s setup
	err := json.Unmarshal([]byte(text), &s)
	if err == nil && s.Pause {
		pause()
	}
	if err == nil {
		err = become(s)
	}
	fmt.Fprintln(os.Stderr, "make the container:", err)
	os.Exit(125)
}

// pause reaps orphaned processes as PID 1, like the pause container.
func pause() {
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	for {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
		<-children
	}
}

// become turns this process into the container. It returns only in case of an error.
func become(s setup) error {
	if err := s.obey(); err != nil {
		return err
	}
	if err := s.mount(); err != nil {
		return err
	}
	if err := s.demote(); err != nil {
		return err
	}
	if s.Dir != "" {
		if err := os.Chdir(s.Dir); err != nil {
			return err
		}
	}
	if err := s.limitFiles(); err != nil {
		return err
	}
	// The kernel cleared this at the change of the user. The container must end together
	// with the process that started it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	return os.NewSyscallError("exec "+s.Argv[0], syscall.Exec(s.Argv[0], s.Argv, s.Env))
}

// demote drops the privileges that the container's security context does not allow.
func (s setup) demote() error {
	if s.DropCaps {
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
				return os.NewSyscallError("drop capability", err)
			}
		}
	}
	if err := syscall.Setgroups(nil); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setgid(s.UID); err != nil {
		return os.NewSyscallError("setgid", err)
	}
	if err := syscall.Setuid(s.UID); err != nil {
		return os.NewSyscallError("setuid", err)
	}
	if !s.DropCaps {
		return nil
	}
	return os.NewSyscallError("no new privileges", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}
