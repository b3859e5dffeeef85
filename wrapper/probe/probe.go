// Package probe asks over the network whether a container answers, as the
// kubelet's probes and hooks would (HTTP, TCP, gRPC), and decides when enough
// tries have passed. It runs no commands and keeps no connection or goroutine
// between calls.
//
// HTTP is HTTP/1.1 only: a server that speaks nothing but HTTP/2 over TLS
// passes the kubelet's httpGet and not this one.
package probe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// probeAgent is the user agent of a probe. Access logs and servers tell probes
// by the kubelet's prefix; the number is the release whose rules are followed.
const probeAgent = "kube-probe/1.36 (koordinator)"

// Check performs one try of an HTTP, TCP or gRPC handler; ctx carries its
// timeout. Nil is a success, an error says in one sentence what came back. The
// address is podIP where the handler names no host, 127.0.0.1 where podIP is
// empty too. An exec or sleep handler is an error: its caller runs commands.
//
// Check blocks until there is an answer or ctx ends, and after that for at
// most a second more, while a peer whose kernel is silent is let go.
func Check(ctx context.Context, h spec.Handler, podIP string) error {
	switch {
	case h.HTTP != nil:
		return checkHTTP(ctx, *h.HTTP, podIP)
	case h.TCP != nil:
		return checkTCP(ctx, *h.TCP, podIP)
	case h.GRPC != nil:
		return checkGRPC(ctx, *h.GRPC, podIP)
	case h.Exec != nil:
		return errors.New("exec: a command is not asked over the network")
	}
	return errors.New("neither httpGet, tcpSocket nor grpc: nothing to ask")
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
