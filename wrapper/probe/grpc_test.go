package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// Messages of a health service (HealthCheckResponse).
var (
	serving        = []byte{0x08, 1}
	notServing     = []byte{0x08, 2}
	serviceUnknown = []byte{0x08, 3}
	unknown        = []byte{}
)

// frameOf returns a message in gRPC's framing.
func frameOf(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// serve answers HTTP/1.1, and HTTP/2 without TLS, with net/http's own server.
func serve(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	s := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
}

// healthServer calls answer only if the request is correct.
func healthServer(answer http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		right := r.ProtoMajor == 2 && r.Method == "POST" && r.URL.Path == "/grpc.health.v1.Health/Check" &&
			r.Header.Get("Content-Type") == "application/grpc" && r.Header.Get("Te") == "trailers"
		if right {
			answer(rw, r)
		}
	}
}

// answerHealth answers with data, one frame per element, and the trailers of a
// success.
func answerHealth(data ...[]byte) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/grpc")
		for _, d := range data {
			_, _ = rw.Write(d)
			_ = http.NewResponseController(rw).Flush()
		}
		rw.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
}

// refuse answers with trailers only, like a server that does not know the
// method.
func refuse(rw http.ResponseWriter, _ *http.Request) {
	rw.Header().Set("Content-Type", "application/grpc")
	rw.Header().Set("Grpc-Status", "12")
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestGRPC(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		want   string
	}{
		{name: "kube-probe-26 SERVING is a success", answer: answerHealth(frameOf(serving))},
		{name: "kube-probe-26 NOT_SERVING is a failure", answer: answerHealth(frameOf(notServing)), want: "NOT_SERVING"},
		{name: "kube-probe-26 SERVICE_UNKNOWN is a failure", answer: answerHealth(frameOf(serviceUnknown)), want: "SERVICE_UNKNOWN"},
		{name: "kube-probe-26 an empty answer is a failure", answer: answerHealth(frameOf(unknown)), want: "UNKNOWN"},
		{name: "kube-probe-26 unimplemented is a failure", answer: refuse, want: "refused"},
		{name: "an answer in pieces", answer: answerHealth([]byte{0, 0}, []byte{0, 0, 2, 8}, []byte{1})},
		{name: "an answer that ends too soon", answer: answerHealth([]byte{0, 0, 0, 0, 2, 8}), want: "not of the health service"},
		{name: "two messages", answer: answerHealth(frameOf(serving), frameOf(serving)), want: "not of the health service"},
		{name: "a compressed answer, which was not asked for", answer: answerHealth([]byte{1, 0, 0, 0, 2, 8, 1}), want: "not of the health service"},
		{name: "a page instead", answer: func(rw http.ResponseWriter, r *http.Request) { http.NotFound(rw, r) }, want: "not of the health service"},
		{name: "an endless answer", answer: answerHealth(make([]byte, maxAnswer+1)), want: "more than 4096 bytes"},
		{name: "a header in several frames", answer: func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Long", strings.Repeat("x", 2*maxFrame))
			answerHealth(frameOf(serving))(rw, r)
		}},
		{name: "an endless header", answer: func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Long", strings.Repeat("~", maxTotal))
			answerHealth(frameOf(serving))(rw, r)
		}, want: "no end after 65536 bytes"},
		{name: "a call broken off", answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "reset the call"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, port := listen(t, "127.0.0.1")
			serve(t, l, healthServer(tt.answer))
			expect(t, Check(within(t, time.Minute), spec.Handler{GRPC: &spec.GRPC{Port: port}}, "", direct), tt.want)
		})
	}
}

// TestGRPCRequest decodes the request with net/http.
func TestGRPCRequest(t *testing.T) {
	for name, service := range map[string]string{
		"no service":    "",
		"a service":     "shop.v1.Cart",
		"a long name":   strings.Repeat("a", 300),
		"the longest":   strings.Repeat("a", maxService),
		"not only text": "\x00é\n",
	} {
		t.Run(name, func(t *testing.T) {
			var body []byte
			var header http.Header
			var host string
			l, port := listen(t, "127.0.0.1")
			serve(t, l, healthServer(func(rw http.ResponseWriter, r *http.Request) {
				header, host = r.Header, r.Host
				body, _ = io.ReadAll(r.Body)
				answerHealth(frameOf(serving))(rw, r)
			}))
			expect(t, Check(within(t, time.Minute), spec.Handler{GRPC: &spec.GRPC{Port: port, Service: service}}, "", direct), "")
			var message []byte
			if service != "" {
				message = append(binary.AppendUvarint([]byte{0x0a}, uint64(len(service))), service...)
			}
			if !bytes.Equal(body, frameOf(message)) {
				t.Errorf("body %q, want %q", body, frameOf(message))
			}
			if limit := header.Get("Grpc-Timeout"); !strings.HasSuffix(limit, "m") || len(limit) != len("59999m") {
				t.Errorf("grpc-timeout %q of a minute", limit)
			}
			if header.Get("User-Agent") != probeAgent || host != address("", "", port) {
				t.Errorf("user agent %q, authority %q", header.Get("User-Agent"), host)
			}
		})
	}
	t.Run("a name that is too long is not sent", func(t *testing.T) {
		h := spec.Handler{GRPC: &spec.GRPC{Port: closedPort(t), Service: strings.Repeat("a", maxService+1)}}
		expect(t, Check(t.Context(), h, "", direct), "more than 4096 bytes")
	})
	t.Run("the settings forbid a push", func(t *testing.T) { // RFC 9113, sections 3.4 and 6.5.2
		want := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x02\x00\x00\x00\x00"
		if have := healthRequest(t.Context(), "a:1", ""); !bytes.HasPrefix(have, []byte(want)) {
			t.Errorf("request begins with %q, want %q", have[:len(want)], want)
		}
	})
	t.Run("a field of any length", func(t *testing.T) { // RFC 7541, section 5.1, and its example in C.1.2
		for length, want := range map[int][]byte{126: {126}, 127: {127, 0}, 128: {127, 1}, 1337 + 96: {127, 154, 10}} {
			have := appendText(nil, strings.Repeat("a", length))
			if !bytes.HasPrefix(have, want) || len(have) != len(want)+length {
				t.Errorf("length %d begins with %v, want %v", length, have[:4], want)
			}
		}
	})
}

func TestGRPCNoAnswer(t *testing.T) {
	const soon = 100 * time.Millisecond
	h := func(port int) spec.Handler { return spec.Handler{GRPC: &spec.GRPC{Port: port}} }
	t.Run("kube-probe-26 a closed port is a failure", func(t *testing.T) {
		expect(t, Check(within(t, time.Minute), h(closedPort(t)), "", direct), "connection refused")
	})
	t.Run("kube-probe-26 a connection closed at once is a failure", func(t *testing.T) {
		l, port := listen(t, "127.0.0.1")
		go func() {
			if conn, err := l.Accept(); err == nil {
				_, _ = conn.Read(make([]byte, 4096)) // otherwise the connection would be reset
				conn.Close()
			}
		}()
		expect(t, Check(within(t, time.Minute), h(port), "", direct), "the server closed the connection")
	})
	t.Run("kube-probe-26 a call without an answer is a failure at the timeout", func(t *testing.T) {
		l, port := listen(t, "127.0.0.1")
		serve(t, l, healthServer(hang))
		expect(t, Check(within(t, soon), h(port), "", direct), "i/o timeout")
	})
	t.Run("a call that does not end after its answer", func(t *testing.T) {
		l, port := listen(t, "127.0.0.1")
		serve(t, l, healthServer(func(rw http.ResponseWriter, r *http.Request) {
			answerHealth(frameOf(serving))(rw, r)
			hang(rw, r)
		}))
		expect(t, Check(within(t, soon), h(port), "", direct), "i/o timeout")
	})
	t.Run("a server that says nothing", func(t *testing.T) {
		_, port := listen(t, "127.0.0.1")
		expect(t, Check(within(t, soon), h(port), "", direct), "i/o timeout")
	})
	t.Run("cancelled", func(t *testing.T) {
		_, port := listen(t, "127.0.0.1")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(soon, cancel)
		expect(t, Check(ctx, h(port), "", direct), "i/o timeout")
	})
	t.Run("a server of HTTP/1.1 only", func(t *testing.T) {
		_, port := web(t, status(200), (*httptest.Server).Start)
		expect(t, Check(within(t, time.Minute), h(port), "", direct), "no HTTP/2 without TLS")
	})
	t.Run("kube-probe-26 a server of TLS is a failure", func(t *testing.T) {
		_, port := web(t, status(200), (*httptest.Server).StartTLS)
		expect(t, Check(within(t, time.Minute), h(port), "", direct), "without a word of HTTP/2")
	})
}

// pipe is a connection whose peer has sent everything in advance.
type pipe struct {
	io.Reader
	io.Writer
}

// frames returns the bytes of a server's frames.
func frames(all ...frame) []byte {
	var b []byte
	for _, f := range all {
		b = appendFrame(b, f)
	}
	return b
}

// Frames of a server.
var (
	hello  = frame{kind: kindSettings, payload: []byte{0, 3, 0, 0, 0, 100}}
	header = frame{kindHeaders, flagEndHeaders, callStream, []byte{0x88}} // :status 200
	yes    = frame{kindData, 0, callStream, frameOf(serving)}
	end    = frame{kindHeaders, flagEndHeaders | flagEndStream, callStream, []byte{0x88}}
)

// conversation is what a server sends, with the result.
type conversation struct {
	name   string
	server []byte
	want   string
	sent   []byte // by the client, in addition to the request
}

var ackSettings = frame{kind: kindSettings, flags: flagAck}

func conversations() []conversation {
	ack := frames(ackSettings)
	ping := frame{kind: kindPing, payload: []byte("12345678")}
	pong := frame{kind: kindPing, flags: flagAck, payload: []byte("12345678")}
	data := func(flags byte, payload ...byte) frame { return frame{kindData, flags, callStream, payload} }
	goodbye := func(last byte) frame {
		return frame{kind: kindGoAway, payload: []byte{0, 0, 0, last, 0, 0, 0, 7, 'b', 'y', 'e'}}
	}
	return []conversation{
		{name: "the shortest", server: frames(hello, header, yes, end), sent: ack},
		{name: "the end on the data", server: frames(hello, header, data(flagEndStream, yes.payload...)), sent: ack},
		{name: "what comes later is not read", server: append(frames(hello, header, yes, end), "junk"...), sent: ack},
		{name: "our settings acknowledged", server: frames(hello, ackSettings, header, yes, end), sent: ack},
		{name: "settings twice", server: frames(hello, hello, header, yes, end), sent: frames(ackSettings, ackSettings)},
		{name: "a ping is answered", server: frames(hello, ping, header, yes, end), sent: frames(ackSettings, pong)},
		{name: "an answer to a ping is not", server: frames(hello, pong, header, yes, end), sent: ack},
		{
			name: "window updates, priorities and unknown frames are nothing", sent: ack,
			server: frames(hello, frame{kind: 8, payload: make([]byte, 4)}, frame{kind: 2, stream: 7, payload: make([]byte, 5)}, frame{kind: 0xbe, flags: 0xff}, header, yes, end),
		},
		{
			name: "padding", sent: ack,
			server: frames(hello, header, data(flagPadded, append(append([]byte{3}, yes.payload...), 0, 0, 0)...), end),
		},
		{name: "only padding", server: frames(hello, header, data(flagPadded, 2, 0, 0), yes, end), sent: ack},
		{name: "more padding than content", server: frames(hello, header, data(flagPadded, 3, 0, 0), yes, end), want: "padding", sent: ack},
		{name: "padding of no length", server: frames(hello, header, data(flagPadded), yes, end), want: "padding", sent: ack},
		{
			name: "a header in pieces", sent: ack,
			server: frames(hello, frame{kindHeaders, 0, callStream, []byte{0x88}}, frame{kindContinuation, 0, callStream, nil}, frame{kindContinuation, flagEndHeaders, callStream, nil}, yes, end),
		},
		{name: "a header cut off", server: frames(hello, frame{kindHeaders, 0, callStream, nil}, yes, end), want: "header cut off", sent: ack},
		{name: "a header continued out of turn", server: frames(hello, header, frame{kind: kindContinuation, stream: callStream}), want: "out of turn", sent: ack},
		{name: "a header before the header", server: frames(hello, header, header, yes, end), sent: ack},
		{name: "data before the header", server: frames(hello, yes, end), want: "data before its header", sent: ack},
		{name: "an end without an answer", server: frames(hello, end), want: "refused", sent: ack},
		{name: "another stream", server: frames(hello, header, frame{kind: kindData, stream: 3}), want: "stream 3", sent: ack},
		{name: "a push", server: frames(hello, frame{kind: kindPush, stream: callStream}), want: "push", sent: ack},
		{name: "a reset", server: frames(hello, header, yes, frame{kind: kindReset, stream: callStream, payload: []byte{0, 0, 0, 7}}), want: "reset the call (HTTP/2 error 7)", sent: ack},
		{name: "a reset cut off", server: frames(hello, frame{kind: kindReset, stream: callStream}), want: "0 bytes, want 4", sent: ack},
		{name: "a goodbye that excludes us", server: frames(hello, goodbye(0), header, yes, end), want: "going away (HTTP/2 error 7)", sent: ack},
		{name: "a goodbye after us", server: frames(hello, goodbye(1), header, yes, end), sent: ack},
		{name: "a goodbye cut off", server: frames(hello, frame{kind: kindGoAway, payload: make([]byte, 7)}), want: "goodbye cut off", sent: ack},
		{name: "a ping cut off", server: frames(hello, frame{kind: kindPing}), want: "0 bytes, want 8", sent: ack},
		{name: "settings cut off", server: frames(frame{kind: kindSettings, payload: make([]byte, 5)}), want: "settings cut off"},
		{name: "no settings first", server: frames(header, yes, end), want: "no HTTP/2"},
		{name: "an acknowledgement first", server: frames(ackSettings, header, yes, end), want: "no HTTP/2"},
		{name: "a frame too long", server: []byte{0, 0x40, 1, kindData, 0, 0, 0, 0, 1}, want: "no HTTP/2"},
		{name: "nothing", want: "without a word of HTTP/2"},
		{name: "half a frame", server: frames(hello, header, yes)[:40], want: "closed the connection", sent: ack},
		{name: "half a frame's beginning", server: append(frames(hello), 0, 0), want: "closed the connection", sent: ack},
		{name: "no end", server: frames(hello, header, yes), want: "closed the connection", sent: ack},
		{
			name: "pings for ever", server: append(frames(hello), bytes.Repeat(frames(ping), maxTotal)...), want: "no end after 65536 bytes",
			sent: append(frames(ackSettings), bytes.Repeat(frames(pong), (maxTotal-15)/17)...),
		},
	}
}

func TestCallHealth(t *testing.T) {
	for _, tt := range conversations() {
		t.Run(tt.name, func(t *testing.T) {
			var sent bytes.Buffer
			expect(t, callHealth(pipe{bytes.NewReader(tt.server), &sent}, []byte("request")), tt.want)
			if diff := cmp.Diff("request"+string(tt.sent), sent.String()); diff != "" {
				t.Errorf("sent (-want +have):\n%s", diff)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message []byte
		want    string
	}{
		{name: "SERVING", message: serving},
		{name: "fields of later releases are skipped", message: []byte{0x10, 0xff, 1, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x22, 2, 8, 2, 0x2d, 1, 2, 3, 4, 0x08, 1}},
		{name: "the last status counts", message: []byte{0x08, 1, 0x08, 2}, want: "NOT_SERVING"},
		{name: "a status of a later release", message: []byte{0x08, 9}, want: "unknown status 9"},
		{name: "a status as text", message: []byte{0x0a, 1, 1}, want: "UNKNOWN"},
		{name: "a tag cut off", message: []byte{0x80}, want: "not of the health service"},
		{name: "a number cut off", message: []byte{0x08}, want: "not of the health service"},
		{name: "a number too great", message: append([]byte{0x08}, bytes.Repeat([]byte{0xff}, 11)...), want: "not of the health service"},
		{name: "eight bytes cut off", message: []byte{0x19, 1, 2, 3, 4, 5, 6, 7}, want: "not of the health service"},
		{name: "four bytes cut off", message: []byte{0x2d, 1, 2, 3}, want: "not of the health service"},
		{name: "a text cut off", message: []byte{0x22, 2, 1}, want: "not of the health service"},
		{name: "a text of any length", message: []byte{0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, want: "not of the health service"},
		{name: "a group", message: []byte{0x0b}, want: "not of the health service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			expect(t, health(frameOf(tt.message)), tt.want)
		})
	}
}

// FuzzCallHealth tests with a server that sends arbitrary bytes: the call ends,
// reads no more than its limit, sends no more than it receives, and a success
// does not depend on later bytes.
func FuzzCallHealth(f *testing.F) {
	for _, c := range conversations() {
		if len(c.server) < 4096 {
			f.Add(c.server)
		}
	}
	f.Fuzz(func(t *testing.T, server []byte) {
		var sent bytes.Buffer
		in := bytes.NewReader(server)
		err := callHealth(pipe{in, &sent}, nil)
		if read := len(server) - in.Len(); read > maxTotal {
			t.Errorf("read %d bytes", read)
		}
		if sent.Len() > len(server) {
			t.Errorf("sent %d bytes for %d", sent.Len(), len(server))
		}
		if err != nil {
			return
		}
		if !bytes.Contains(server, []byte{kindSettings}) || !bytes.Contains(server, serving[1:]) {
			t.Error("a success out of nothing")
		}
		if err := callHealth(pipe{bytes.NewReader(append(slices.Clip(server), 0xff)), io.Discard}, nil); err != nil {
			t.Errorf("a success is none when more follows: %v", err)
		}
	})
}

// FuzzReadFrame encodes each frame that it has read, and compares the bytes.
func FuzzReadFrame(f *testing.F) {
	f.Add(frames(hello))
	f.Add(frames(yes, end))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, server []byte) {
		got, err := readFrame(bytes.NewReader(server))
		if err != nil {
			return
		}
		if content, err := got.content(); err == nil && len(content) > len(got.payload) {
			t.Errorf("content of %d bytes in %d", len(content), len(got.payload))
		}
		server = server[:frameHeader+len(got.payload)]
		server[5] &= 0x7f // reserved
		if diff := cmp.Diff(server, appendFrame(nil, got)); diff != "" {
			t.Errorf("(-read +written):\n%s", diff)
		}
	})
}

// BenchmarkCheck measures the cost of a try against a running server.
func BenchmarkCheck(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{Handler: healthServer(answerHealth(frameOf(serving))), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = s.Serve(l) }()
	defer s.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for name, h := range map[string]spec.Handler{
		"HTTP": {HTTP: &spec.HTTPGet{Port: port}},
		"TCP":  {TCP: &spec.TCPSocket{Port: port}},
		"gRPC": {GRPC: &spec.GRPC{Port: port}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := Check(b.Context(), h, "", direct); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
