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

// helperEnv makes the program a container's first process.
const helperEnv = "POD_HELPER"

// setup is a container as its first process makes it. All paths but Dir and
// those of Files' keys are the host's.
type setup struct {
	Pause bool `json:"pause,omitempty"` // be the first process of a shared PID namespace

	Root     string // an empty directory, where the container's root is mounted
	Bin      string // mounted at spec.BinDir
	Record   string // at spec.RecordDir
	Peers    string // at spec.PeersDir
	Message  string // at spec.Message
	Access   string // at spec.APIAccess; "": nothing is
	Scratch  bool
	Files    map[string]string
	ReadOnly bool

	Cgroup      string // to join; "": none
	Descriptors uint64 // RLIMIT_NOFILE; 0: as it is

	UID      int
	DropCaps bool
	Dir      string
	Argv     []string // Argv[0] is a path
	Env      []string
}

// Helper becomes a container's first process where Start asked for one, and
// does not return then. Elsewhere it does nothing.
func Helper() {
	text := os.Getenv(helperEnv)
	if text == "" {
		return
	}
	runtime.LockOSThread() // credentials are a thread's
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

// pause reaps what is left to PID 1, as the pause container does.
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

// become turns this process into the container. It returns only an error.
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
	// Lost by the change of the user: the container dies with whoever started it.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl", err)
	}
	return os.NewSyscallError("exec "+s.Argv[0], syscall.Exec(s.Argv[0], s.Argv, s.Env))
}

// demote gives up what the container's security context does not allow.
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
