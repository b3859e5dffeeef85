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

// path is what container runtimes put into an environment without PATH.
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Container is what to run.
type Container struct {
	Name    string
	Spec    string   // JSON, as Spec.Encode writes it; "": no KOORDINATOR_SPEC
	Command []string // the real command
	Env     []string // further environment

	UID       int  // also the GID
	DropCaps  bool // no capability, none to be had, no new privileges
	ReadOnly  bool // the root file system
	Unwrapped bool // run the command itself, as without injection

	Processes   int    // the most processes and threads, its pids cgroup's limit; 0: no limit
	Descriptors uint64 // RLIMIT_NOFILE; 0: as it is

	// Scratch is an image without anything: no shell, no /etc, no /tmp. Files,
	// by their path in the container, are all there is.
	Scratch bool
	Files   map[string]string // host files, read-only in the container

	Access string     // a host directory with token and ca.crt, as the kubelet mounts it
	Dir    string     // working directory; "": /
	Stdin  *os.File   // nil: /dev/null
	Extra  []*os.File // descriptors from 3 on
}

// Exit is how a container ended.
type Exit struct {
	Code int       // 128+n where signal n ended PID 1
	At   time.Time // when it was noticed
}

// Running is a container that was started.
type Running struct {
	PID int // of the container's first process, on the host

	cmd      *exec.Cmd
	out, err *os.File // closed here; their names count
	message  string   // host file
	cgroup   string   // host directory; "": none of its own
	done     chan struct{}
	exit     Exit // set when done is closed
}

// Start starts a container. One of a name that has ended is its next
// incarnation. It returns before the container has run.
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
		flags = unix.CLONE_NEWNS // into the namespace of the pause process
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

// running prepares a container's first process. Its output goes to files, so
// that nobody has to read it and nothing waits for its end.
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

// setup is the container for the helper, its directories made.
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

// wait notices the container's end.
func (r *Running) wait() {
	r.cmd.Wait() // the code is read below
	r.exit = Exit{Code: exitCode(r.cmd.ProcessState), At: time.Now()}
	close(r.done)
}

// exitCode is a process's end as the runtime reports it.
func exitCode(s *os.ProcessState) int {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return s.ExitCode()
}

// Signal sends a signal to the container's first process, as the runtime does.
func (r *Running) Signal(s syscall.Signal) error { return syscall.Kill(r.PID, s) }

// Kill ends the container at once, with all its processes where its PID
// namespace is its own.
func (r *Running) Kill() { r.cmd.Process.Kill() }

// Done is closed when the container has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Wait waits for the container's end.
func (r *Running) Wait() Exit { <-r.done; return r.exit }

// Stdout is what the container has written to standard output so far.
func (r *Running) Stdout() string { return read(r.out.Name()) }

// Stderr is what the container has written to standard error so far: the
// wrapper's log, and the command's.
func (r *Running) Stderr() string { return read(r.err.Name()) }

// Message is the termination message so far.
func (r *Running) Message() string { return read(r.message) }

// read is a file's text, or why there is none.
func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
