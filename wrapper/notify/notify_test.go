package notify

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test binary a process that sends its argument if
// NOTIFY_SOCKET is set.
func TestMain(m *testing.M) {
	if path := os.Getenv(Env); path != "" && len(os.Args) == 2 {
		if err := send(path, []byte(os.Args[1]), nil); err != nil {
			panic(err)
		}
		os.Stdin.Read(make([]byte, 1)) // lives until its input ends
		return
	}
	os.Exit(m.Run())
}

func send(path string, message, control []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendmsg(fd, message, control, &unix.SockaddrUnix{Name: path}, 0)
}

// listening returns a socket that is being received from. The channels receive
// a value for each call.
func listening(t *testing.T) (s *Socket, ready, stranger chan bool) {
	t.Helper()
	dir, err := os.MkdirTemp("", "n") //nolint:usetesting // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if s, err = Listen(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	ready, stranger = make(chan bool, 9), make(chan bool, 9)
	go s.Receive(func() { ready <- true }, func() { stranger <- true })
	return s, ready, stranger
}

func await(t *testing.T, what string, c <-chan bool) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatal(what + " did not come")
	}
}

func TestReadyComesOnce(t *testing.T) {
	s, ready, stranger := listening(t)
	if s.Path() != filepath.Join(filepath.Dir(s.Path()), "notify") {
		t.Errorf("the path is %q", s.Path())
	}
	for _, message := range []string{"STATUS=READY=1", "READY=10", "READY=0", "XREADY=1", "", "STOPPING=1\nMAINPID=1", strings.Repeat("x", 100000), "READY=1\n" + strings.Repeat("x", maxDatagram)} {
		if err := send(s.Path(), []byte(message), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(ready) > 0 {
		t.Error("ready before READY=1")
	}
	for range 1000 { // more than a socket holds
		if err := send(s.Path(), []byte("STATUS=up\nREADY=1\nWATCHDOG=1"), nil); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "READY=1", ready)
	if len(ready) > 0 || len(stranger) > 0 {
		t.Errorf("%d more times ready, %d strangers", len(ready), len(stranger))
	}
}

func TestDescriptorsAreNotKept(t *testing.T) {
	s, ready, _ := listening(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	rights := unix.UnixRights(pipe[1])
	for _, message := range []string{"FDSTORE=1", "BARRIER=1"} {
		if err := send(s.Path(), []byte(message), rights); err != nil {
			t.Fatal(err)
		}
	}
	unix.Close(pipe[1])
	if err := send(s.Path(), []byte("READY=1"), nil); err != nil {
		t.Fatal(err)
	}
	await(t, "READY=1", ready)
	if n, err := unix.Read(pipe[0], make([]byte, 1)); n != 0 || err != nil { // blocks while any process holds the other end
		t.Errorf("read %d, %v, want the end of the pipe", n, err)
	}
}

func TestAChildMayReport(t *testing.T) {
	s, ready, _ := listening(t)
	cmd := exec.Command(os.Args[0], "READY=1")
	cmd.Env = append(os.Environ(), Env+"="+s.Path())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	await(t, "READY=1", ready)
}

func TestAStrangerDoesNot(t *testing.T) {
	s, ready, stranger := listening(t)
	// The process reports after its parent has exited, so it is a child of PID 1.
	cmd := exec.Command("sh", "-c", "( while kill -0 $$ 2>/dev/null; do sleep 0.01; done; exec \"$0\" READY=1 </dev/zero ) & exit 0", os.Args[0])
	cmd.Env = append(os.Environ(), Env+"="+s.Path())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	await(t, "the stranger", stranger)
	if len(ready) > 0 {
		t.Error("a process that is none of the container's makes it ready")
	}
}

func TestListenReplacesWhatIsLeft(t *testing.T) {
	s, _, _ := listening(t)
	again, err := Listen(filepath.Dir(s.Path()))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	info, err := os.Stat(again.Path())
	if err != nil || info.Mode().Perm() != 0o666 || info.Mode().Type() != os.ModeSocket {
		t.Errorf("the socket is %v, %v", info.Mode(), err)
	}
	if _, err := Listen("/none"); err == nil || !strings.Contains(err.Error(), "make the socket for NOTIFY_SOCKET at /none/notify: no such file or directory") {
		t.Errorf("have %v", err)
	}
}
