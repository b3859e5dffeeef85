package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// errClosed is the error of a closed [Dialer].
var errClosed = errors.New("dial: the dialer is closed")

// Dialer makes TCP connections inside a network namespace for a program outside of it.
type Dialer struct {
	requests chan request
	done     chan struct{}
}

// request is a request for one connection to the dialer's thread.
type request struct {
	address netip.AddrPort
	answer  chan result
}

// result is a connected socket or the reason why there is none.
type result struct {
	conn net.Conn
	err  error
}

// NewDialer returns a dialer for the network namespace that is pinned at path. Close it to release its thread.
func NewDialer(path string) (*Dialer, error) {
	d := &Dialer{requests: make(chan request), done: make(chan struct{})}
	entered := make(chan error)
	go func() {
		// A namespace belongs to a thread. This thread is never unlocked for other goroutines.
		runtime.LockOSThread()
		entered <- setns(path, unix.CLONE_NEWNET)
		for {
			select {
			case <-d.done:
				return
			case r := <-d.requests:
				conn, err := connect(r.address)
				r.answer <- result{conn, err}
			}
		}
	}()
	if err := <-entered; err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// Dial connects to an address inside the namespace. It is meant for local addresses,
// because each connection attempt delays the next one.
func (d *Dialer) Dial(address netip.AddrPort) (net.Conn, error) {
	r := request{address: address, answer: make(chan result, 1)}
	select {
	case d.requests <- r:
		got := <-r.answer
		return got.conn, got.err
	case <-d.done:
		return nil, errClosed
	}
}

// Close ends the dialer. Its connections stay open.
func (d *Dialer) Close() { close(d.done) }

// connect creates the socket itself, because net.Dial may create it on another thread, and
// thus in another namespace.
func connect(address netip.AddrPort) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	socket := os.NewFile(uintptr(fd), address.String())
	defer socket.Close() // net.FileConn duplicates the socket
	to := unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}
	if err := unix.Connect(fd, &to); err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	return net.FileConn(socket)
}
