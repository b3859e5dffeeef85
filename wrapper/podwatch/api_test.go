package podwatch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/podstatus"
)

// api is an API server that answers requests with the handlers of its script,
// in order, and all later ones with rest.
type api struct {
	mu     sync.Mutex
	script []http.HandlerFunc
	rest   http.HandlerFunc
	seen   []seen
}

// seen is a request.
type seen struct {
	at     time.Time
	path   string
	query  url.Values
	header http.Header
}

func (s seen) isWatch() bool { return s.query.Get("watch") != "" }

func (a *api) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	a.next(r)(rw, r)
}

func (a *api) next(r *http.Request) http.HandlerFunc {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, seen{time.Now(), r.URL.Path, r.URL.Query(), r.Header.Clone()})
	if len(a.script) == 0 {
		return a.rest
	}
	h := a.script[0]
	a.script = a.script[1:]
	return h
}

// requests returns the requests so far.
func (a *api) requests() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]seen(nil), a.seen...)
}

// Answers of an API server.

func hold(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// open answers a watch and then sends nothing.
func open(rw http.ResponseWriter, r *http.Request) {
	rw.WriteHeader(http.StatusOK)
	rw.(http.Flusher).Flush()
	hold(rw, r)
}

func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			rw.Header().Set(header[i], header[i+1])
		}
		rw.WriteHeader(code)
		_, _ = io.WriteString(rw, body)
	}
}

func list(version string, pods ...string) http.HandlerFunc {
	return status(http.StatusOK, `{"kind":"PodList","metadata":{"resourceVersion":"`+version+`"},"items":[`+strings.Join(pods, ",")+`]}`)
}

// events answers a watch with these events and ends it. The pause before each
// line lets a reader see every snapshot; in a synctest bubble it takes no real
// time.
func events(lines ...string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusOK)
		for _, line := range lines {
			time.Sleep(time.Millisecond)
			_, _ = io.WriteString(rw, line)
			rw.(http.Flusher).Flush()
		}
	}
}

// both returns an answer that a begins and b ends.
func both(a, b http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		a(rw, r)
		b(rw, r)
	}
}

func change(kind, object string) string {
	return `{"type":"` + kind + `","object":` + object + "}\n"
}

// podAt returns the watched pod at a version, with its container in a state.
func podAt(version, state string) string {
	return podText("Never", "containers", regular, state, `,"resourceVersion":"`+version+`"`, "")
}

const expired = `{"kind":"Status","status":"Failure","reason":"Expired","message":"too old resource version: 5 (9)","code":410}`

// pipes is an in-memory network, so that a watch can run in a synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (p pipes) Close() error { return nil }
func (p pipes) Addr() net.Addr {
	return &net.UnixAddr{Name: "memory"}
}

// logs collects the log lines.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.FieldsFunc(l.text.String(), func(r rune) bool { return r == '\n' })
}

// files creates the token and the CA file of a Config.
func files(t *testing.T, ca []byte) podstatus.Config {
	t.Helper()
	dir := t.TempDir()
	c := podstatus.Config{
		Server: "http://api", Namespace: "shop", Pod: "web-0",
		TokenFile: filepath.Join(dir, "token"), CAFile: filepath.Join(dir, "ca.crt"),
	}
	write(t, c.TokenFile, "first\n")
	write(t, c.CAFile, string(ca))
	return c
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bubble runs a watch against an in-memory server. It must be created within
// synctest.Test, with files created outside.
type bubble struct {
	*api
	logs *logs
	out  chan podstatus.Snapshot
	stop func()
}

func newBubble(t *testing.T, c podstatus.Config, a *api) *bubble {
	t.Helper()
	if a.rest == nil {
		a.rest = open
	}
	b := &bubble{api: a, logs: new(logs), out: make(chan podstatus.Snapshot)}
	w := newWatcher(c, slog.New(slog.NewTextHandler(b.logs, nil)))
	network := make(pipes)
	w.transport = &http.Transport{
		ResponseHeaderTimeout: w.pace.header,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			network <- server
			return client, nil
		},
	}
	server := &http.Server{Handler: a, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	served, watched := make(chan struct{}), make(chan struct{})
	go func() { defer close(served); _ = server.Serve(network) }()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(watched); w.watch(ctx, b.out) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-watched
		close(network)
		_ = server.Close()
		<-served
	})
	t.Cleanup(b.stop)
	return b
}

// next returns container "c" of the next snapshot.
func (b *bubble) next(t *testing.T) podstatus.Container {
	t.Helper()
	select {
	case s := <-b.out:
		c, ok := s["c"]
		if !ok {
			t.Fatalf("snapshot without c: %v", s)
		}
		return c
	case <-time.After(time.Hour):
		t.Fatalf("no snapshot; requests: %v", b.story())
		return podstatus.Container{}
	}
}

// expect fails unless the next snapshots contain these states.
func (b *bubble) expect(t *testing.T, want ...podstatus.Container) {
	t.Helper()
	for _, c := range want {
		if got := b.next(t); got != c {
			t.Fatalf("container = %+v, want %+v", got, c)
		}
	}
}

// story returns the requests in short form: "list" or "watch VERSION".
func (b *bubble) story() []string {
	var all []string
	for _, r := range b.requests() {
		if r.isWatch() {
			all = append(all, "watch "+r.query.Get("resourceVersion"))
		} else {
			all = append(all, "list")
		}
	}
	return all
}

func (s seen) String() string { return fmt.Sprint(s.at.Format(time.TimeOnly), s.path, s.query) }
