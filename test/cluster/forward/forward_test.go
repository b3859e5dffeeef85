package forward

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// listen returns a listener on loopback that is closed when the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// connect dials a listener, with a deadline for all operations.
func connect(t *testing.T, listener net.Listener) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func TestBothDirectionsAndHalfClose(t *testing.T) {
	server := listen(t)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		// The server answers only after the end of the request, so Serve must forward this
		// end while the other direction stays open.
		request, _ := io.ReadAll(conn)
		_, _ = conn.Write(append([]byte("echo "), request...))
	}()
	front := listen(t)
	go func() { _ = Serve(front, func() (net.Conn, error) { return net.Dial("tcp4", server.Addr().String()) }) }()
	client := connect(t, front)
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(client); err != nil || string(answer) != "echo hello" {
		t.Errorf("answer %q, error %v", answer, err)
	}
}

func TestServerDownClosesTheConnectionAndGoesOn(t *testing.T) {
	front := listen(t)
	go func() { _ = Serve(front, func() (net.Conn, error) { return nil, errors.New("down") }) }()
	for range 2 {
		if answer, err := io.ReadAll(connect(t, front)); err != nil || len(answer) > 0 {
			t.Errorf("answer %q, error %v", answer, err)
		}
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	front := listen(t)
	ended := make(chan error)
	go func() { ended <- Serve(front, nil) }()
	_ = front.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Error("still serving")
	}
}
