// Package probe runs a container's probes and hooks as the kubelet would (exec,
// HTTP, TCP, gRPC, sleep), sends requests, and decides when enough tries have
// passed. Commands are run by its caller's Runner. It keeps no connection or
// goroutine between calls.
//
// HTTP is HTTP/1.1 only, written here: net/http would be half of the wrapper. A
// server that speaks nothing but HTTP/2 over TLS passes the kubelet's httpGet
// and not this one. TLS itself is made by the network program, which sends the
// request with this package too.
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

// probeAgent is the user agent of a probe. Access logs and servers tell probes
// by the kubelet's prefix; the number is the release whose rules are followed.
const probeAgent = "kube-probe/1.36 (koordinator)"

// Runner runs other programs in the container.
type Runner struct {
	// Command runs a command of the container until it ends, or until ctx does, and
	// returns its failure.
	Command func(ctx context.Context, argv []string) error
	// Network runs the network program, which sends what takes TLS.
	Network spec.Network
}

// Check performs a probe once; ctx carries its timeout. Nil is a success, an
// error says in one sentence what came back. The address is podIP where the
// handler names no host, 127.0.0.1 where podIP is empty too. Commands, and what
// takes TLS, are run by run.
//
// Check blocks until there is an answer or ctx ends, and after that for at
// most a second more, while a peer whose kernel is silent is let go.
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

// Hook performs a hook; ctx carries its limit. A tcpSocket hook does nothing, as
// in the kubelet. The rest is as for Check.
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

// checkTCP succeeds when the connection is made; nothing is sent.
func checkTCP(ctx context.Context, s spec.TCPSocket, podIP string) error {
	conn, err := dialer().DialContext(ctx, "tcp", address(s.Host, podIP, s.Port))
	if err != nil {
		return err // names address and cause: dial tcp 10.0.0.7:80: connect: connection refused
	}
	_ = conn.Close() // the answer is the connection
	return nil
}

// address is where a handler's server listens, as host:port.
func address(host, podIP string, port int) string {
	return net.JoinHostPort(cmp.Or(host, podIP, "127.0.0.1"), strconv.Itoa(port))
}

// dialer makes connections as the kubelet's probes do: a close that the peer
// does not acknowledge is given up after a second (SO_LINGER).
func dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 1})
		})
		return errors.Join(err, failed)
	}}
}
