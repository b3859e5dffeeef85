package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// listen opens a port on an address of the loopback network.
func listen(t *testing.T, host string) (net.Listener, int) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, portOf(t, l.Addr().String())
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return int(a.Port())
}

// closedPort returns a port of 127.0.0.1 without a listener.
func closedPort(t *testing.T) int {
	t.Helper()
	l, port := listen(t, "127.0.0.1")
	l.Close()
	return port
}

// silentPort returns a port of 127.0.0.1 that does not answer connections,
// because its queue is full.
func silentPort(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := name.(*unix.SockaddrInet4).Port
	for range 16 {
		conn, err := net.DialTimeout("tcp", address("", "", port), 100*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("a queue of no length takes 16 connections")
	return 0
}

// within returns a context that ends soon, for tries that must reach their
// timeout.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// expect fails unless err contains want, or is nil if want is "".
func expect(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want != "":
		t.Errorf("success, want an error with %q", want)
	case err != nil && want == "":
		t.Errorf("%v, want a success", err)
	case err != nil && !strings.Contains(err.Error(), want):
		t.Errorf("error %q, want %q in it", err, want)
	}
}

func TestTCP(t *testing.T) {
	t.Run("kube-probe-25 an open port is a success", func(t *testing.T) {
		l, port := listen(t, "127.0.0.1")
		expect(t, Check(within(t, time.Minute), spec.Handler{TCP: &spec.TCPSocket{Port: port}}, "", direct), "")
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("read %d bytes, %v; want the end of a connection on which nothing was sent", n, err)
		}
	})
	t.Run("kube-probe-25 a closed port is a failure", func(t *testing.T) {
		h := spec.Handler{TCP: &spec.TCPSocket{Port: closedPort(t)}}
		expect(t, Check(within(t, time.Minute), h, "", direct), "connection refused")
	})
	t.Run("kube-probe-25 a silent port is a failure at the timeout", func(t *testing.T) {
		h := spec.Handler{TCP: &spec.TCPSocket{Port: silentPort(t)}}
		expect(t, Check(within(t, 100*time.Millisecond), h, "", direct), "i/o timeout")
	})
	t.Run("kube-probe-25 a connection lingers for a second", func(t *testing.T) {
		_, port := listen(t, "127.0.0.1")
		conn, err := dialer().DialContext(t.Context(), "tcp", address("", "", port))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var linger uint64
		var failed error
		err = raw.Control(func(fd uintptr) {
			linger, failed = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
		})
		if err := errors.Join(err, failed); err != nil {
			t.Fatal(err)
		}
		if on, seconds := uint32(linger), uint32(linger>>32); on != 1 || seconds != 1 {
			t.Errorf("SO_LINGER = {%d, %d}, want {1, 1}", on, seconds)
		}
	})
}

// TestTheAddress dials with every kind of handler, to a loopback address with a
// listener and to one without.
func TestTheAddress(t *testing.T) {
	const here, elsewhere = "127.0.0.2", "127.0.0.3"
	for _, tt := range []struct {
		name        string
		listen      string
		host, podIP string
		want        string
	}{
		{name: "kube-probe-24 without a host the pod's address is dialled", listen: here, podIP: here},
		{
			name: "kube-probe-24 an app bound to loopback only fails", listen: "127.0.0.1", podIP: here,
			want: "connection refused",
		},
		{name: "kube-probe-24 a host wins over the pod's address", listen: here, host: here, podIP: elsewhere},
		{name: "without an address of the pod it is 127.0.0.1", listen: "127.0.0.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, port := listen(t, tt.listen)
			serve(t, l, healthServer(answerHealth(frameOf(serving))))
			handlers := map[string]spec.Handler{
				"HTTP": {HTTP: &spec.HTTPGet{Host: tt.host, Port: port}},
				"TCP":  {TCP: &spec.TCPSocket{Host: tt.host, Port: port}},
			}
			if tt.host == "" {
				handlers["gRPC"] = spec.Handler{GRPC: &spec.GRPC{Port: port}}
			}
			for kind, h := range handlers {
				t.Run(kind, func(t *testing.T) {
					expect(t, Check(within(t, time.Minute), h, tt.podIP, direct), tt.want)
				})
			}
		})
	}
	t.Run("an address of IPv6 is put in brackets", func(t *testing.T) {
		if got := address("", "fd00::7", 80); got != "[fd00::7]:80" {
			t.Errorf("address = %s", got)
		}
	})
}

func TestWhatCannotBeAsked(t *testing.T) {
	for name, h := range map[string]spec.Handler{
		"a pause":        {Sleep: &spec.Sleep{}},
		"nothing at all": {},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Check(t.Context(), h, "", direct); err == nil {
				t.Error("a success")
			}
		})
	}
}

func TestA12CommandsAreRunByTheCaller(t *testing.T) {
	exec := spec.Handler{Exec: &spec.Exec{Command: []string{"check", "it"}}}
	var ran [][]string
	run := Runner{Command: func(_ context.Context, argv []string) error { ran = append(ran, argv); return errNotYet }}
	if err := Check(t.Context(), exec, "", run); !errors.Is(err, errNotYet) {
		t.Errorf("probe: %v", err)
	}
	if err := Hook(t.Context(), exec, "", run); !errors.Is(err, errNotYet) {
		t.Errorf("hook: %v", err)
	}
	if want := [][]string{{"check", "it"}, {"check", "it"}}; !reflect.DeepEqual(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}

func TestOtherHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := Hook(t.Context(), spec.Handler{Sleep: &spec.Sleep{Seconds: 7}}, "", direct); err != nil || time.Since(began) != 7*time.Second {
			t.Errorf("a pause of 7 s: %v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := Hook(ctx, spec.Handler{Sleep: &spec.Sleep{Seconds: 7}}, "", direct); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a pause that is cut off: %v", err)
		}
		if err := Hook(t.Context(), spec.Handler{TCP: &spec.TCPSocket{Port: 1}}, "", direct); err != nil {
			t.Errorf("a tcpSocket hook: %v", err)
		}
	})
}

func TestA31OnlyAnAnswerThatWillNotChangeIsFinal(t *testing.T) {
	for status, final := range map[int]bool{302: false, 400: true, 404: true, 405: true, 408: false, 425: false, 429: false, 500: false, 503: false} {
		if have := Final(fmt.Errorf("POST /quit: %w", Refusal{status})); have != final {
			t.Errorf("%v: final %t, want %t", Refusal{status}, have, final)
		}
	}
	if Final(errNotYet) || Final(nil) {
		t.Error("an error without an answer is final")
	}
	_, port := web(t, status(http.StatusNotFound), (*httptest.Server).Start)
	err := Send(within(t, time.Minute), spec.Request{Method: "POST", URL: fmt.Sprintf("http://127.0.0.1:%d/quit", port)}, direct)
	if !Final(err) {
		t.Errorf("a server's 404 is not final: %v", err)
	}
}

// TestNothingIsLeft counts goroutines after tries of every kind and outcome. It
// polls, because those of net/http end asynchronously.
func TestNothingIsLeft(t *testing.T) {
	l, port := listen(t, "127.0.0.1")
	serve(t, l, healthServer(answerHealth(frameOf(serving))))
	_, mute := listen(t, "127.0.0.1")
	before := runtime.NumGoroutine()
	for _, p := range []int{port, mute} {
		for range 5 {
			ctx := within(t, 100*time.Millisecond)
			_ = Check(ctx, spec.Handler{HTTP: &spec.HTTPGet{Port: p}}, "", direct)
			_ = Check(ctx, spec.Handler{TCP: &spec.TCPSocket{Port: p}}, "", direct)
			_ = Check(ctx, spec.Handler{GRPC: &spec.GRPC{Port: p}}, "", direct)
			_ = Send(ctx, spec.Request{Method: "POST", URL: "http://" + address("", "", p)}, direct)
		}
	}
	end := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
