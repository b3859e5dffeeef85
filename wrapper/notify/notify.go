// Package notify receives a command's notifications through sd_notify(3): the
// command sends READY=1 in a datagram to the socket that NOTIFY_SOCKET names,
// as services do under systemd, podman and s6.
package notify

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

// Env is the environment variable with which the command finds the socket.
const Env = "NOTIFY_SOCKET"

// socketName is the socket's file name.
const socketName = "notify"

// maxDatagram is the maximum size of a datagram, as in systemd. A longer one is
// ignored.
const maxDatagram = 4096

// Socket receives datagrams.
type Socket struct {
	path string
	file *os.File
}

// Listen creates the socket in dir, which must exist, and replaces one that an
// earlier incarnation left. Any user may send to it. The socket has a path
// rather than an abstract name, because an abstract name would be shared by the
// whole pod.
func Listen(dir string) (*Socket, error) {
	path := filepath.Join(dir, socketName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make the socket for %s: %w", Env, err)
	}
	file, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("make the socket for %s at %s: %w", Env, path, err)
	}
	return &Socket{path, file}, nil
}

func bind(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = os.Chmod(path, 0o666) // #nosec G302: the command may run as any user
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Path returns the value of NOTIFY_SOCKET.
func (s *Socket) Path() string { return s.path }

// Close ends Receive and removes the socket.
func (s *Socket) Close() {
	s.file.Close()
	os.Remove(s.path)
}

// Receive receives datagrams until the socket is closed, and calls ready at the
// first READY=1 from one of the container's own processes. It ignores all other
// datagrams, but continues to receive them, because a sender blocks when
// nothing reads from the socket. It calls stranger once if another process
// sends READY=1.
func (s *Socket) Receive(ready, stranger func()) {
	conn, err := s.file.SyscallConn()
	if err != nil {
		return // closed
	}
	done, warned := false, false
	for {
		d, err := next(conn)
		switch {
		case err != nil:
			return
		case done || !d.ready:
		case ownProcess(d.pid):
			done = true
			ready()
		case !warned:
			warned = true
			stranger()
		}
	}
}

// datagram contains the relevant parts of a datagram.
type datagram struct {
	pid   int32 // of the sender; 0 if the sender is in another PID namespace
	ready bool
}

// next waits for a datagram.
func next(conn syscall.RawConn) (d datagram, err error) {
	readErr := conn.Read(func(fd uintptr) bool {
		d, err = receive(int(fd))
		return !errors.Is(err, unix.EAGAIN)
	})
	return d, errors.Join(err, readErr)
}

// receive receives a datagram. Its control buffer has room only for the
// sender's credentials: the kernel closes any descriptors that come with the
// datagram, which is also the answer to BARRIER=1.
func receive(fd int) (datagram, error) {
	var buffer [maxDatagram]byte
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred))
	n, controls, flags, _, err := unix.Recvmsg(fd, buffer[:], control, unix.MSG_CMSG_CLOEXEC)
	if errors.Is(err, unix.EINTR) {
		return datagram{}, nil
	}
	if err != nil {
		return datagram{}, err
	}
	if flags&unix.MSG_TRUNC != 0 {
		return datagram{}, nil
	}
	return datagram{sender(control[:controls]), isReady(string(buffer[:n]))}, nil
}

// sender returns the PID of the sender according to the kernel.
func sender(control []byte) int32 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for i := range messages {
		if credentials, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return credentials.Pid
		}
	}
	return 0
}

// isReady reports whether a message contains the line READY=1.
func isReady(message string) bool {
	return slices.Contains(strings.Split(message, "\n"), "READY=1")
}

// ownProcess reports whether a process belongs to the container. If the wrapper
// is PID 1, every process that it can see does. If containers share a PID
// namespace, the descendants of the wrapper do.
func ownProcess(pid int32) bool {
	self := os.Getpid()
	if self == 1 {
		return pid > 0
	}
	for next := int(pid); next > 1; next = parent(next) {
		if next == self {
			return true
		}
	}
	return false
}

// parent returns the parent of a process, or 0 if there is no such process.
func parent(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(stat[max(0, strings.LastIndex(string(stat), ")")):]), ") ")
	fields := strings.Fields(rest)
	if !found || len(fields) < 2 { // the fields are state and parent
		return 0
	}
	number, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return number
}
