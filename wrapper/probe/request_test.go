package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// direct stands for the network program, in the test's process.
var direct = Runner{Network: func(ctx context.Context, task string, input []byte, line func([]byte) error) error {
	if task != spec.RequestTask {
		return errors.New("another task: " + task)
	}
	var out bytes.Buffer
	if err := Answer(ctx, bytes.NewReader(input), &out, secure); err != nil {
		return err
	}
	return line(out.Bytes())
}}

// secure makes TLS connections like the network program.
func secure(ctx context.Context, conn net.Conn, host string) (net.Conn, error) {
	c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	err := c.HandshakeContext(ctx)
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(e.RecordHeader[:]) == "HTTP/" {
		return nil, ErrPlain
	}
	return c, err
}

func TestEveryStatusHasItsMeaning(t *testing.T) {
	for status := range 600 {
		if want := http.StatusText(status); status >= 400 && meaning(status) != want {
			t.Errorf("%d is %q, want %q", status, meaning(status), want)
		}
	}
}

func TestTheAnswersForm(t *testing.T) {
	huge := strconv.Itoa(1 << 40)
	for name, tt := range map[string]struct{ text, want string }{
		"a length":                      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"the same length twice":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", ""},
		"two lengths":                   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", "Content-Length"},
		"a length that is none":         {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "bad Content-Length"},
		"a long body is read in part":   {"HTTP/1.1 200 OK\r\nContent-Length: " + huge + "\r\n\r\n" + strings.Repeat("x", maxBody), ""},
		"no length":                     {"HTTP/1.1 200 OK\r\n\r\nok", ""},
		"HTTP/1.0":                      {"HTTP/1.0 200 OK\r\n\r\nok", ""},
		"no reason phrase":              {"HTTP/1.1 200\r\n\r\nok", ""},
		"lines that end in LF":          {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", ""},
		"chunks":                        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\na;x=y\r\n0123456789\r\n0\r\n\r\n", ""},
		"chunks with a trailer":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", ""},
		"a chunk cut off":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "read body: unexpected EOF"},
		"no last chunk":                 {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "read body: unexpected EOF"},
		"a chunk longer than it says":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", "malformed chunked encoding"},
		"a chunk without a size":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok\r\n", "malformed chunk size"},
		"a chunk of a size below zero":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", "malformed chunk size"},
		"a large chunk is read in part": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + strings.Repeat("x", maxBody), ""},
		"another encoding":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "unsupported transfer encoding"},
		"HTTP/1.0 knows no encoding":    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok", ""},
		"informational ones are skipped": {
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "503 Service Unavailable",
		},
		"informational ones without end": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxHeader/20), "headers exceeded"},
		"another protocol is none":       {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 Switching Protocols"},
		"no body where none belongs":     {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
		"a status of four digits":        {"HTTP/1.1 2000 OK\r\n\r\n", "malformed HTTP"},
		"a status that is none":          {"HTTP/1.1 OK\r\n\r\n", "malformed HTTP"},
		"another version":                {"HTTP/x.1 200 OK\r\n\r\n", "malformed HTTP"},
		"a header cut off":               {"HTTP/1.1 200 OK\r\nA: b\r\n", "unexpected EOF"},
		"a header that is none":          {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed MIME header"},
		"nothing":                        {"", "EOF"},
		"settings of HTTP/2":             {"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "malformed HTTP"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, get(t, raw(tt.text), spec.HTTPGet{}), tt.want) })
	}
}

// requests records every request as it reaches the server.
func requests(asked *[]string, h http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		text, _ := httputil.DumpRequest(r, false)
		lines := strings.Split(strings.TrimSpace(string(text)), "\r\n")
		slices.Sort(lines[1:])
		*asked = append(*asked, strings.Join(lines, "|"))
		h(rw, r)
	}
}

func TestTheRequestsForm(t *testing.T) {
	var asked []string
	s, port := web(t, requests(&asked, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(rw, r, "/new?a=b", http.StatusTemporaryRedirect)
		}
	}), (*httptest.Server).Start)
	host := "127.0.0.1:" + strconv.Itoa(port)
	t.Run("a probe's", func(t *testing.T) {
		asked = nil
		h := spec.Handler{HTTP: &spec.HTTPGet{Path: "/new", Port: port, Headers: []spec.Header{
			{Name: "connection", Value: "close"}, {Name: "content-length", Value: "7"}, {Name: "x-empty"}, {Name: "X-Space", Value: " a "},
		}}}
		expect(t, Check(within(t, time.Minute), h, "", direct), "")
		want := []string{"GET /new HTTP/1.1|Accept: */*|Connection: close|Host: " + host + "|User-Agent: " + probeAgent + "|X-Empty: |X-Space: a"}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("requests (-want +have):\n%s", diff)
		}
	})
	t.Run("a redirected one, with the address before and without its password", func(t *testing.T) {
		asked = nil
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("me", "secret")
		expect(t, Send(within(t, time.Minute), spec.Request{Method: "POST", URL: u.String()}, direct), "")
		want := []string{
			"POST / HTTP/1.1|Authorization: Basic bWU6c2VjcmV0|Connection: close|Content-Length: 0|Host: " + host + "|User-Agent: koordinator",
			"POST /new?a=b HTTP/1.1|Authorization: Basic bWU6c2VjcmV0|Connection: close|Content-Length: 0|Host: " + host + "|Referer: http://" + host + "|User-Agent: koordinator",
		}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("requests (-want +have):\n%s", diff)
		}
	})
	for name, header := range map[string]spec.Header{
		"a line break in a header": {Name: "A", Value: "b\r\nC: d"},
		"a line break in Host":     {Name: "Host", Value: "b\r\nC: d"},
		"a header without a name":  {Value: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			asked = nil
			h := spec.Handler{HTTP: &spec.HTTPGet{Port: port, Headers: []spec.Header{header}}}
			expect(t, Check(within(t, time.Minute), h, "", direct), "invalid")
			if len(asked) != 0 {
				t.Errorf("asked %q", asked)
			}
		})
	}
	t.Run("a host that is no ASCII", func(t *testing.T) {
		expect(t, Send(t.Context(), spec.Request{Method: "GET", URL: "http://bücher.example/"}, direct), "xn--")
	})
}

func TestARedirectToHTTPSIsHandedOver(t *testing.T) {
	var asked []string
	_, port := web(t, requests(&asked, status(http.StatusTeapot)), (*httptest.Server).StartTLS)
	to := "https://127.0.0.1:" + strconv.Itoa(port) + "/new"
	leads := func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, to, http.StatusFound) }
	t.Run("and sent there", func(t *testing.T) {
		err := get(t, leads, spec.HTTPGet{Headers: []spec.Header{{Name: "Authorization", Value: "Bearer x"}}})
		expect(t, err, "418 I'm a teapot")
		if len(asked) != 1 || !strings.HasPrefix(asked[0], "GET /new HTTP/1.1|Accept: */*|Authorization: Bearer x|") {
			t.Errorf("asked %q", asked)
		}
	})
	t.Run("and fails without the network program", func(t *testing.T) {
		_, plain := web(t, leads, (*httptest.Server).Start)
		h := spec.Handler{HTTP: &spec.HTTPGet{Port: plain}}
		for name, network := range map[string]spec.Network{
			"cannot be started": func(context.Context, string, []byte, func([]byte) error) error {
				return errors.New("cannot be started")
			},
			"without an answer": func(context.Context, string, []byte, func([]byte) error) error { return nil },
			"invalid character": func(_ context.Context, _ string, _ []byte, line func([]byte) error) error { return line([]byte("no")) },
			"network program":   nil,
		} {
			expect(t, Check(within(t, time.Minute), h, "", Runner{Network: network}), name)
		}
	})
}

func TestTheNetworkProgramRefusesWhatIsNoRequest(t *testing.T) {
	var out bytes.Buffer
	if err := Answer(t.Context(), strings.NewReader("no"), &out, secure); err == nil || out.Len() != 0 {
		t.Errorf("error %v, printed %q", err, out.String())
	}
}

// FuzzResponse compares the parsed answer with that of net/http.
func FuzzResponse(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.0 404 Not Found\nA: b\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: B\r\n\r\n0a;x=y \r\n0123456789\r\n00\r\nB: c\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n y\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 204 \r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "HTTP/1.1 301 Moved\r\nLocation: https://[::1]:8/%zz\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := readResponse(bytes.NewReader(text))
		if err != nil {
			if other, taken := afterInformational(text); taken == nil && len(text) < maxHeader {
				t.Fatalf("%v, net/http reads %s", err, other.Status)
			}
			return
		}
		if a.status < 100 || a.status > 999 {
			t.Fatalf("status %d", a.status)
		}
		other, err := afterInformational(text)
		if err != nil {
			return // net/http is stricter, for example about trailers
		}
		defer other.Body.Close()
		if other.StatusCode != a.status {
			t.Fatalf("status %d, net/http reads %d", a.status, other.StatusCode)
		}
		_, want := io.CopyN(io.Discard, other.Body, maxBody)
		if errors.Is(want, io.EOF) {
			want = nil
		}
		if have := a.body(); have != nil && want == nil || have == nil && want != nil && !a.chunked { // net/http is strict about trailers
			t.Fatalf("body: %v, net/http reads %v", have, want)
		}
		base := &url.URL{Scheme: "http", Host: "h"}
		next, err := Request{Method: "GET", First: "h"}.redirected(base, a)
		if err == nil && next != nil {
			if u, err := url.Parse(next.URL); err != nil || u.Hostname() != "h" {
				t.Fatalf("redirected to %q, %v", next.URL, err)
			}
		}
	})
}

// afterInformational returns the answer that net/http reads.
func afterInformational(text []byte) (*http.Response, error) {
	in := bufio.NewReader(bytes.NewReader(text))
	for {
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode >= 200 || res.StatusCode == 101 {
			return res, err
		}
	}
}
