package pod

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// path is the variable that container runtimes add to an environment without PATH.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Container describes a container to run.
type Container struct {
	Name    string
	Spec    string   // KOORDINATOR_SPEC as JSON from Spec.Encode; "" for no variable
	Command []string // the real command
	Env     []string // additional environment variables

	UID       int  // also the GID
	DropCaps  bool // drop all capabilities and forbid new privileges
	ReadOnly  bool // make the root file system read-only
	Unwrapped bool // run the command itself, as without injection

	Processes   int    // limit of the pids cgroup for processes and threads, 0 for no limit
	Descriptors uint64 // RLIMIT_NOFILE; 0 for no change

	// Scratch selects an empty image: no shell, no /etc, no /tmp. It contains only Files,
	// whose keys are paths in the container.
	Scratch bool
	Files   map[string]string // host files, read-only in the container

	Access string     // host directory with token and ca.crt, in the form in which the kubelet mounts it
	Dir    string     // working directory, "" for /
	Stdin  *os.File   // nil for /dev/null
	Extra  []*os.File // descriptors from 3
}

// Exit is the end of a container.
type Exit struct {
	Code int       // 128+n if signal n ended PID 1
	At   time.Time // time at which the end was detected
}

// Running is a started container.
type Running struct {
	PID int // PID of the container's first process on the host

	cmd      *exec.Cmd
	out, err *os.File // closed; only their names are used
	message  string   // host file
	cgroup   string   // host directory, "" for no separate cgroup
	done     chan struct{}
	exit     Exit // valid after done is closed
}

// Start starts a container. If a container with this name has ended, the new one is its
// next incarnation. Start returns before the command runs.
func (p *Pod) Start(c Container) (*Running, error) {
	s, err := p.setup(c)
	if err != nil {
		return nil, fmt.Errorf("start container %s: %w", c.Name, err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	r, err := p.running(c, s, text)
	if err != nil {
		return nil, fmt.Errorf("start container %s: %w", c.Name, err)
	}
	flags := uintptr(unix.CLONE_NEWNS | unix.CLONE_NEWPID)
	if p.pause != nil {
		flags = unix.CLONE_NEWNS // join the PID namespace of the pause process
	}
	r.cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: flags}
	err = p.do(r.cmd.Start)
	r.out.Close()
	r.err.Close()
	if err != nil {
		return nil, fmt.Errorf("start container %s: %w", c.Name, err)
	}
	r.PID = r.cmd.Process.Pid
	p.mu.Lock()
	p.started = append(p.started, r)
	p.mu.Unlock()
	go r.wait()
	return r, nil
}

// running prepares a container's first process. Its output goes to files, so that no test
// has to read it and the process never blocks on it.
func (p *Pod) running(c Container, s setup, text []byte) (*Running, error) {
	r := &Running{message: s.Message, cgroup: s.Cgroup, done: make(chan struct{})}
	for suffix, file := range map[string]**os.File{".out": &r.out, ".err": &r.err} {
		f, err := os.OpenFile(s.Root+suffix, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
		if err != nil {
			return nil, err
		}
		if err := f.Chmod(0o666); err != nil {
			return nil, err
		}
		*file = f
	}
	r.cmd = exec.Command("/proc/self/exe")
	r.cmd.Env = []string{helperEnv + "=" + string(text)}
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.ExtraFiles = r.out, r.err, c.Extra
	if c.Stdin != nil {
		r.cmd.Stdin = c.Stdin
	}
	return r, nil
}

// setup returns the container's description for the helper, and creates its directories.
func (p *Pod) setup(c Container) (setup, error) {
	root, err := os.MkdirTemp(filepath.Join(p.dir, "roots"), c.Name+"-")
	if err != nil {
		return setup{}, err
	}
	message, err := os.CreateTemp(filepath.Join(p.dir, "messages"), c.Name+"-")
	if err != nil {
		return setup{}, err
	}
	defer message.Close()
	record := filepath.Join(p.Records(), c.Name)
	if err := os.MkdirAll(record, 0o777); err != nil {
		return setup{}, err
	}
	if err := os.Chmod(record, 0o777); err != nil {
		return setup{}, err
	}
	s := setup{
		Root: root, Bin: filepath.Join(p.dir, "bin"), Record: record, Peers: p.Records(), Message: message.Name(),
		Access: c.Access, Scratch: c.Scratch, Files: c.Files, ReadOnly: c.ReadOnly,
		UID: c.UID, DropCaps: c.DropCaps, Dir: c.Dir, Descriptors: c.Descriptors,
		Argv: append([]string{spec.Binary, "--"}, c.Command...),
		Env:  append([]string{path}, c.Env...),
	}
	if c.Processes > 0 {
		if s.Cgroup, err = p.limit(c.Name, c.Processes); err != nil {
			return setup{}, err
		}
	}
	if c.Unwrapped {
		s.Argv = c.Command
	}
	if c.Spec != "" {
		s.Env = append(s.Env, spec.Env+"="+c.Spec)
	}
	return s, message.Chmod(0o666)
}

// wait detects the container's end.
func (r *Running) wait() {
	r.cmd.Wait() // the code is read from ProcessState below
	r.exit = Exit{Code: exitCode(r.cmd.ProcessState), At: time.Now()}
	close(r.done)
}

// exitCode returns the exit code of a process in the runtime's form.
func exitCode(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.ExitCode()
}

// Signal sends a signal to the container's first process, as the runtime does.
func (r *Running) Signal(s syscall.Signal) error { return syscall.Kill(r.PID, s) }

// Kill ends the container immediately. If the container has its own PID namespace, this
// kills all its processes.
func (r *Running) Kill() { r.cmd.Process.Kill() }

// Done returns a channel that is closed when the container has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Wait waits for the container's end.
func (r *Running) Wait() Exit { <-r.done; return r.exit }

// Stdout returns what the container has written to standard output so far.
func (r *Running) Stdout() string { return read(r.out.Name()) }

// Stderr returns what the container has written to standard error so far: the log of the
// wrapper, and the command's output.
func (r *Running) Stderr() string { return read(r.err.Name()) }

// Message returns the current termination message.
func (r *Running) Message() string { return read(r.message) }

// read returns the text of a file, or the reason why it cannot be read.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
