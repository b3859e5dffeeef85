// Package probe runs a container's probes and hooks as the kubelet would (exec,
// HTTP, TCP, gRPC, sleep), sends requests, and decides when enough tries have
// passed. The caller's Runner runs commands. The package keeps no connection or
// goroutine between calls.
//
// HTTP means HTTP/1.1 only, and is implemented here: net/http would be half of
// the wrapper. A server that supports only HTTP/2 over TLS therefore passes the
// kubelet's httpGet probe, but not this one. TLS is left to the network
// program, which also sends its requests with this package.
package probe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// probeAgent is the user agent of a probe. Access logs and servers recognize
// probes by the kubelet's prefix; the number is the Kubernetes release whose
// rules are followed.
const probeAgent = "kube-probe/1.36 (koordinator)"

// Runner runs other programs in the container.
type Runner struct {
	// Command runs a command in the container until it or ctx ends, and returns
	// its failure.
	Command func(ctx context.Context, argv []string) error
	// Network runs the network program, which sends requests that require TLS.
	Network spec.Network
}

// Check performs a probe once; ctx carries the timeout. Nil is a success; an
// error describes the result in one sentence. If the handler has no host, the
// address is podIP, or 127.0.0.1 if podIP is empty. Commands, and requests that
// require TLS, use run.
//
// Check blocks until there is an answer or ctx ends, and then for at most one
// more second, while it closes the connection to a peer that does not respond.
func Check(ctx context.Context, h spec.Handler, podIP string, run Runner) error {
	switch {
	case h.Exec != nil:
		return run.Command(ctx, h.Exec.Command)
	case h.HTTP != nil:
		return checkHTTP(ctx, *h.HTTP, podIP, run.Network)
	case h.TCP != nil:
		return checkTCP(ctx, *h.TCP, podIP)
	case h.GRPC != nil:
		return checkGRPC(ctx, *h.GRPC, podIP)
	}
	return errors.New("neither exec, httpGet, tcpSocket nor grpc: nothing to check")
}

// Hook performs a hook; ctx carries the limit. A tcpSocket hook does nothing,
// as with the kubelet. Otherwise it behaves like Check.
func Hook(ctx context.Context, h spec.Handler, podIP string, run Runner) error {
	switch {
	case h.Exec != nil:
		return run.Command(ctx, h.Exec.Command)
	case h.HTTP != nil:
		return hookHTTP(ctx, *h.HTTP, podIP, run.Network)
	case h.Sleep != nil:
		return sleep(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
	}
	return nil
}

// checkTCP succeeds if a connection can be made. It sends nothing.
func checkTCP(ctx context.Context, s spec.TCPSocket, podIP string) error {
	conn, err := dialer().DialContext(ctx, "tcp", address(s.Host, podIP, s.Port))
	if err != nil {
		return err // contains address and cause: dial tcp 10.0.0.7:80: connect: connection refused
	}
	_ = conn.Close() // the connection is the answer
	return nil
}

// address returns the address of a handler's server, as host:port.
func address(host, podIP string, port int) string {
	return net.JoinHostPort(cmp.Or(host, podIP, "127.0.0.1"), strconv.Itoa(port))
}

// dialer makes connections like the kubelet's probes: it gives up closing a
// connection after one second if the peer does not acknowledge the close
// (SO_LINGER).
func dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 1})
		})
		return errors.Join(err, failed)
	}}
}
