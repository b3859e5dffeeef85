package podwatch

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
)

// newServer returns an API server on a real socket with TLS, at an address, or
// at any address if that is empty.
func newServer(t *testing.T, a *api, address string) *tlsServer {
	t.Helper()
	if a.rest == nil {
		a.rest = open
	}
	ctx, end := context.WithCancel(context.Background())
	s := &tlsServer{httptest.NewUnstartedServer(a), end}
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	if address != "" {
		_ = s.Listener.Close()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		s.Listener = l
	}
	s.StartTLS()
	t.Cleanup(s.stop)
	return s
}

// tlsServer can be stopped while it answers: its requests' contexts end, too.
type tlsServer struct {
	*httptest.Server
	end context.CancelFunc
}

func (s *tlsServer) stop() {
	s.end()
	s.CloseClientConnections()
	s.Close()
}

func certificate(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// strangeCA returns a CA that has signed nothing.
func strangeCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// watchServer watches with short delays until the test ends.
func watchServer(t *testing.T, c podstatus.Config) <-chan podstatus.Snapshot {
	t.Helper()
	w := newWatcher(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
	w.pace.first, w.pace.most = time.Millisecond, 4*time.Millisecond
	out := make(chan podstatus.Snapshot)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.watch(ctx, out) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return out
}

// expect reads snapshots until container c has the wanted state.
func expect(t *testing.T, out <-chan podstatus.Snapshot, want podstatus.Container) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	var last podstatus.Snapshot
	for {
		select {
		case last = <-out:
			if last["c"] == want {
				return
			}
		case <-deadline:
			t.Fatalf("last snapshot %v, want c = %+v", last, want)
		}
	}
}

func TestRequestsAreWhatTheAPIServerExpects(t *testing.T) {
	t.Run("own-24 and no proxy is used", func(t *testing.T) {
		t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
		t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
		a := &api{script: []http.HandlerFunc{list("7", podAt("5", running))}}
		s := newServer(t, a, "")
		c := files(t, certificate(s.Server))
		c.Server = s.URL
		out := watchServer(t, c)
		expect(t, out, isStarted)
		for len(a.requests()) < 2 {
			time.Sleep(time.Millisecond) // polls until the watch has begun; the test's own deadline limits it
		}
		for i, r := range a.requests() {
			if r.path != "/api/v1/namespaces/shop/pods" || r.query.Get("fieldSelector") != "metadata.name=web-0" {
				t.Errorf("request %d: %s", i, r)
			}
			if got := r.header.Get("Authorization"); got != "Bearer first" {
				t.Errorf("request %d: Authorization = %q", i, got)
			}
			if got := r.header.Get("Accept"); got != "application/json" {
				t.Errorf("request %d: Accept = %q", i, got)
			}
		}
	})
}

func TestARotatedTokenIsPickedUp(t *testing.T) {
	var c podstatus.Config
	rotate := func(rw http.ResponseWriter, r *http.Request) {
		if err := os.WriteFile(c.TokenFile, []byte("second"), 0o600); err != nil {
			panic(err)
		}
		status(401, `{"message":"Unauthorized"}`)(rw, r)
	}
	a := &api{script: []http.HandlerFunc{rotate, list("7", podAt("5", running))}}
	s := newServer(t, a, "")
	c = files(t, certificate(s.Server))
	c.Server = s.URL
	expect(t, watchServer(t, c), isStarted)
	if got := a.requests()[1].header.Get("Authorization"); got != "Bearer second" {
		t.Errorf("Authorization = %q after the rotation", got)
	}
}

func TestAReplacedCAIsPickedUp(t *testing.T) {
	for name, before := range map[string][]byte{"another": strangeCA(t), "none": nil, "garbage": []byte("-----BEGIN")} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, &api{script: []http.HandlerFunc{list("7", podAt("5", running))}}, "")
			c := files(t, before)
			c.Server = s.URL
			out := watchServer(t, c)
			select {
			case s := <-out:
				t.Fatalf("snapshot %v from a server not trusted", s)
			case <-time.After(20 * time.Millisecond): // proves absence
			}
			write(t, c.CAFile, string(certificate(s.Server)))
			expect(t, out, isStarted)
		})
	}
}

func TestAMissingTokenIsWaitedFor(t *testing.T) {
	s := newServer(t, &api{script: []http.HandlerFunc{list("7", podAt("5", running))}}, "")
	c := files(t, certificate(s.Server))
	c.Server = s.URL
	if err := os.Remove(c.TokenFile); err != nil {
		t.Fatal(err)
	}
	out := watchServer(t, c)
	write(t, c.TokenFile, "late")
	expect(t, out, isStarted)
}

func TestARestartedServerIsFoundAgain(t *testing.T) {
	s := newServer(t, &api{script: []http.HandlerFunc{list("7", podAt("5", running))}}, "")
	c := files(t, certificate(s.Server))
	c.Server = s.URL
	out := watchServer(t, c)
	expect(t, out, isStarted)
	s.stop()
	again := &api{script: []http.HandlerFunc{both(events(change("MODIFIED", podAt("8", exit0))), hold)}}
	newServer(t, again, s.Listener.Addr().String())
	expect(t, out, isDone)
	if r := again.requests()[0]; r.query.Get("resourceVersion") != "7" {
		t.Errorf("first request to the restarted server: %s, want a watch from 7", r)
	}
}

func TestAResetConnectionIsMadeAnew(t *testing.T) {
	cut := func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			panic(err)
		}
		if tcp, ok := conn.(interface{ NetConn() net.Conn }); ok {
			_ = tcp.NetConn().(*net.TCPConn).SetLinger(0) // RST, not FIN
			_ = tcp.NetConn().Close()
		}
	}
	s := newServer(t, &api{script: []http.HandlerFunc{cut, list("7", podAt("5", running)), cut, events(change("MODIFIED", podAt("8", exit0)))}}, "")
	c := files(t, certificate(s.Server))
	c.Server = s.URL
	expect(t, watchServer(t, c), isDone)
}

func TestOneConnectionServesListAndWatch(t *testing.T) {
	var mu sync.Mutex
	opened := 0
	a := &api{script: []http.HandlerFunc{list("7", podAt("5", running)), events(change("MODIFIED", podAt("8", running+ready))), both(events(change("MODIFIED", podAt("9", exit0))), hold)}, rest: open}
	s := httptest.NewUnstartedServer(a)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateNew {
			opened++
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	c := files(t, certificate(s))
	c.Server = s.URL
	expect(t, watchServer(t, c), isDone)
	mu.Lock()
	defer mu.Unlock()
	if opened != 1 {
		t.Errorf("%d connections for a list and two watches, want 1", opened)
	}
}
