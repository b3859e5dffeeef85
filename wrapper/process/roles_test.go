package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Environment variables of the role "supervise".
const (
	bareEnv  = "PROCESS_TEST_BARE"     // "1": do not become a subreaper
	blindEnv = "PROCESS_TEST_BLIND"    // "1": do not use the terminal
	countEnv = "PROCESS_TEST_COUNT"    // "1": print how many processes were reaped
	sweepEnv = "PROCESS_TEST_SWEEP"    // "1": stay until the group is gone
	termEnv  = "PROCESS_TEST_SWEEPSIG" // "1": also send the group SIGTERM when the command has ended
)

// play plays a role and returns its exit code.
func play(role string, args []string) int {
	switch role {
	case "supervise":
		return supervise(args)
	case "init":
		return initRole(args)
	case "hear":
		return hear()
	case "fds":
		return fds()
	case "environ":
		return environ(args)
	case "terminal":
		fmt.Println(Terminal())
		return 0
	case "threads":
		return threads()
	case "noexec":
		return noexec(args[0])
	}
	return complain(fmt.Errorf("no part %q", role))
}

// threads reserves threads and starts a command, as the wrapper does. It then
// makes as many system calls at the same time as Reserve provides for: all but
// two of them block, and a loop makes two more while it collects garbage and
// waits for timers and pipes. On a busy machine, these can be interrupted, too.
// It prints the number of threads before and after.
func threads() int {
	heard := Signals()
	Reserve()
	heard.Common()
	if _, err := Start(Command{Argv: []string{"sleep", "1000"}, Env: os.Environ()}); err != nil {
		return complain(err)
	}
	heard.Rest()
	count := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return 0
		}
		return len(tasks)
	}
	before := count()
	for range blocked - 2 {
		var ends [2]int
		if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
			return complain(err)
		}
		go unix.Read(ends[0], make([]byte, 1))
	}
	in, out, err := os.Pipe()
	if err != nil {
		return complain(err)
	}
	for range 20 {
		read := make(chan struct{})
		go func() {
			defer close(read)
			in.Read(make([]byte, 1))
		}()
		time.Sleep(10 * time.Millisecond)
		runtime.GC()
		if _, err := out.Write([]byte("x")); err != nil {
			return complain(err)
		}
		<-read
	}
	fmt.Println(before, count())
	return 0
}

// complain prints an error and returns its exit code.
func complain(err error) int {
	fmt.Fprintln(os.Stderr, err)
	if start, ok := errors.AsType[*StartError](err); ok {
		return start.Code
	}
	return 200
}

// supervise is the smallest wrapper: it starts a command, passes on every
// signal, reaps, and exits with the command's code.
func supervise(argv []string) int {
	heard := Signals()
	heard.Common()
	heard.Rest()
	signals, children := heard.Signals, heard.Children
	if os.Getenv(bareEnv) == "" {
		if err := Subreaper(); err != nil {
			return complain(err)
		}
	}
	dir := LeaveDir()
	c, err := Start(Command{Argv: argv, Env: commandEnv(), Dir: dir, Terminal: Terminal() && os.Getenv(blindEnv) == ""})
	if err != nil {
		return complain(err)
	}
	return loop(c, signals, children)
}

// loop is supervise's event loop.
func loop(c *Child, signals, children <-chan os.Signal) int {
	code, reaped := -1, 0
	for {
		select {
		case <-time.After(10 * time.Millisecond): // the group may have ended elsewhere
		case s := <-signals:
			if err := c.Signal(s.(syscall.Signal)); err != nil {
				return complain(err)
			}
		case <-children:
			exits := Reap()
			reaped += len(exits)
			if e, ok := c.Ended(exits); ok {
				code = e.Code
				if os.Getenv(termEnv) != "" {
					c.SignalGroup(syscall.SIGTERM)
				}
			}
		}
		if code < 0 || os.Getenv(sweepEnv) != "" && !c.GroupGone() {
			continue
		}
		if os.Getenv(countEnv) != "" {
			fmt.Fprintf(os.Stderr, "reaped %d\n", reaped)
		}
		return code
	}
}

// commandEnv returns the environment without the tests' own variables.
func commandEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "PROCESS_TEST_")
	})
}

// initRole runs supervise as PID 1 of new PID and mount namespaces.
func initRole(argv []string) int {
	if os.Getpid() != 1 {
		return complain(fmt.Errorf("PID is %d, want 1", os.Getpid()))
	}
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return complain(os.NewSyscallError("make mounts private", err))
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return complain(os.NewSyscallError("mount /proc", err))
	}
	return supervise(argv)
}

// hear prints the number of every signal that arrives, using only the standard
// library. SIGTERM ends it with code 0.
func hear() int {
	ch := make(chan os.Signal, 200)
	signal.Notify(ch)
	fmt.Println("ready")
	for s := range ch {
		if s == syscall.SIGURG { // from its own runtime
			continue
		}
		fmt.Println(int(s.(syscall.Signal)))
		if s == syscall.SIGTERM {
			break
		}
	}
	return 0
}

// fds prints every inherited descriptor.
func fds() int {
	for n, text := range inherited(0) {
		fmt.Printf("%d: %s\n", n, text)
	}
	return 0
}

// inherited describes the descriptors from first on that an exec keeps open.
// The Go runtime has others, which an exec closes.
func inherited(first int) map[int]string {
	list := map[int]string{}
	for fd := first; fd < 1024; fd++ {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			list[fd] = describe(fd)
		}
	}
	return list
}

// describe returns a descriptor's file, position and status flags, which
// together distinguish open file descriptions of the same file.
func describe(fd int) string {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err.Error()
	}
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	offset, err := unix.Seek(fd, 0, unix.SEEK_CUR)
	if err != nil {
		offset = -1
	}
	return fmt.Sprintf("file %d:%d offset %d flags %#o", st.Dev, st.Ino, offset, flags)
}

// environ starts a command that prints its environment, which is args.
func environ(args []string) int {
	c, err := Start(Command{Argv: []string{"/bin/cat", "/proc/self/environ"}, Env: args})
	if err != nil {
		return complain(err)
	}
	for {
		if e, ok := c.Ended(Reap()); ok {
			return e.Code
		}
		runtime.Gosched()
	}
}

// noexec tries to start a script from a noexec mount on dir.
func noexec(dir string) int {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return complain(os.NewSyscallError("make mounts private", err))
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOEXEC, ""); err != nil {
		return complain(os.NewSyscallError("mount a noexec tmpfs", err))
	}
	file := dir + "/app"
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o755); err != nil {
		return complain(err)
	}
	_, err := Start(Command{Argv: []string{file}, Env: os.Environ()})
	return complain(err)
}
