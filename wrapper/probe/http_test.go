package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

// web returns a server for one test, and its port on 127.0.0.1.
func web(t *testing.T, h http.HandlerFunc, start func(*httptest.Server)) (*httptest.Server, int) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	start(s)
	t.Cleanup(s.Close)
	return s, portOf(t, s.Listener.Addr().String())
}

// get sends a probe to a server.
func get(t *testing.T, h http.HandlerFunc, g spec.HTTPGet) error {
	t.Helper()
	_, g.Port = web(t, h, (*httptest.Server).Start)
	return Check(within(t, time.Minute), spec.Handler{HTTP: &g}, "", direct)
}

func status(code int) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(code) }
}

func TestHTTPStatus(t *testing.T) {
	for code, want := range map[int]string{
		200: "", 204: "", 299: "", 300: "", 304: "", 399: "",
		400: "400 Bad Request", 404: "404 Not Found", 499: "499", 500: "500 Internal Server Error", 503: "503 Service Unavailable",
		302: "", // without a Location it is the final answer
	} {
		t.Run("kube-probe-16 "+strconv.Itoa(code), func(t *testing.T) {
			expect(t, get(t, status(code), spec.HTTPGet{}), want)
		})
	}
	t.Run("the error names the request and not the body", func(t *testing.T) {
		err := get(t, func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "password", http.StatusTeapot) }, spec.HTTPGet{Path: "/ready?full=1"})
		expect(t, err, "/ready?full=1: 418 I'm a teapot")
		expect(t, err, "GET http://127.0.0.1:")
		if strings.Contains(err.Error(), "password") {
			t.Errorf("error %q quotes the body", err)
		}
	})
	t.Run("what is not HTTP is quoted shortly", func(t *testing.T) {
		err := get(t, raw(strings.Repeat("no HTTP ", 1000)+"\r\n\r\n"), spec.HTTPGet{})
		expect(t, err, "malformed HTTP")
		if len(err.Error()) > maxCause+100 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		h := spec.Handler{HTTP: &spec.HTTPGet{Port: closedPort(t)}}
		expect(t, Check(within(t, time.Minute), h, "", direct), "connection refused")
	})
}

// raw answers with exactly these bytes.
func raw(text string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		conn, _, err := rw.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, text)
	}
}

func TestHTTPPath(t *testing.T) {
	for path, want := range map[string]string{
		"":              "/",
		"/":             "/",
		"/healthz?a=b":  "/healthz?a=b",
		"healthz":       "/healthz",
		"/a%20b%2Fc":    "/a%20b%2Fc",
		"/%zz is wrong": "/%25zz%20is%20wrong",
		"/up#part":      "/up",
	} {
		t.Run(path, func(t *testing.T) {
			var have string
			err := get(t, func(_ http.ResponseWriter, r *http.Request) { have = r.RequestURI }, spec.HTTPGet{Path: path})
			expect(t, err, "")
			if have != want {
				t.Errorf("asked for %s, want %s", have, want)
			}
		})
	}
}

// redirects answers the first path with a redirect, and records all requested
// paths.
func redirects(code int, last int) (h http.HandlerFunc, asked *[]string) {
	asked = new([]string)
	return func(rw http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.URL.Path)
		if r.URL.Path == "/" {
			http.Redirect(rw, r, "/new", code)
			return
		}
		rw.WriteHeader(last)
	}, asked
}

func TestHTTPRedirects(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		t.Run("kube-probe-17 followed on the same host "+strconv.Itoa(code), func(t *testing.T) {
			h, asked := redirects(code, 200)
			expect(t, get(t, h, spec.HTTPGet{}), "")
			if diff := cmp.Diff([]string{"/", "/new"}, *asked); diff != "" {
				t.Errorf("asked (-want +have):\n%s", diff)
			}
		})
		t.Run("kube-probe-17 to a failure "+strconv.Itoa(code), func(t *testing.T) {
			h, _ := redirects(code, 500)
			expect(t, get(t, h, spec.HTTPGet{}), "500 Internal Server Error")
		})
	}
	t.Run("kube-probe-16 a redirect to another host ends the probe", func(t *testing.T) {
		var asked int
		_, other := web(t, func(rw http.ResponseWriter, _ *http.Request) {
			asked++
			rw.WriteHeader(http.StatusInternalServerError)
		}, (*httptest.Server).Start)
		err := get(t, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://localhost:"+strconv.Itoa(other), http.StatusFound)
		}, spec.HTTPGet{})
		expect(t, err, "")
		if asked != 0 {
			t.Errorf("the other host was asked %d times", asked)
		}
	})
	t.Run("kube-probe-17 another port of the same host is followed", func(t *testing.T) {
		_, other := web(t, status(http.StatusBadGateway), (*httptest.Server).Start)
		err := get(t, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://127.0.0.1:"+strconv.Itoa(other), http.StatusFound)
		}, spec.HTTPGet{})
		expect(t, err, "502 Bad Gateway")
	})
	t.Run("kube-probe-17 a ring of redirects is a failure", func(t *testing.T) {
		var asked int
		err := get(t, func(rw http.ResponseWriter, r *http.Request) {
			asked++
			http.Redirect(rw, r, "/", http.StatusFound)
		}, spec.HTTPGet{})
		expect(t, err, "stopped after 10 redirects")
		if asked != 10 {
			t.Errorf("asked %d times, want 10", asked)
		}
	})
}

func TestHTTPHeaders(t *testing.T) {
	defaults := http.Header{"User-Agent": {probeAgent}, "Accept": {"*/*"}, "Connection": {"close"}}
	with := func(name string, values ...string) http.Header {
		h := defaults.Clone()
		delete(h, name)
		if len(values) > 0 {
			h[name] = values
		}
		return h
	}
	for _, tt := range []struct {
		name  string
		given []spec.Header
		want  http.Header
	}{
		{name: "kube-probe-20 the default ones, and no Accept-Encoding", want: defaults},
		{name: "kube-probe-20 another User-Agent", given: []spec.Header{{Name: "user-agent", Value: "x/1"}}, want: with("User-Agent", "x/1")},
		{name: "kube-probe-20 User-Agent removed", given: []spec.Header{{Name: "User-Agent"}}, want: with("User-Agent")},
		{name: "kube-probe-20 another Accept", given: []spec.Header{{Name: "Accept", Value: "text/html"}}, want: with("Accept", "text/html")},
		{name: "kube-probe-20 Accept removed", given: []spec.Header{{Name: "Accept"}}, want: with("Accept")},
		{name: "kube-probe-20 Accept-Encoding as given", given: []spec.Header{{Name: "Accept-Encoding", Value: "gzip"}}, want: with("Accept-Encoding", "gzip")},
		{
			name:  "kube-probe-20 one name twice",
			given: []spec.Header{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}, want: with("X-A", "1", "2"),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have http.Header
			err := get(t, func(_ http.ResponseWriter, r *http.Request) { have = r.Header }, spec.HTTPGet{Headers: tt.given})
			expect(t, err, "")
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("headers (-want +have):\n%s", diff)
			}
		})
	}
	t.Run("kube-probe-20 Host is honoured and kept over redirects", func(t *testing.T) {
		var hosts []string
		h, _ := redirects(http.StatusMovedPermanently, 200)
		err := get(t, func(rw http.ResponseWriter, r *http.Request) {
			hosts = append(hosts, r.Host)
			h(rw, r)
		}, spec.HTTPGet{Headers: []spec.Header{{Name: "Host", Value: "shop.example.org"}}})
		expect(t, err, "")
		if diff := cmp.Diff([]string{"shop.example.org", "shop.example.org"}, hosts); diff != "" {
			t.Errorf("hosts (-want +have):\n%s", diff)
		}
	})
	t.Run("a name that is none is a failure", func(t *testing.T) {
		expect(t, get(t, status(200), spec.HTTPGet{Headers: []spec.Header{{Name: "a b", Value: "1"}}}), "invalid header field name")
	})
}

func TestHTTPSlow(t *testing.T) {
	for name, begin := range map[string]http.HandlerFunc{
		"kube-probe-21 no answer in time": func(http.ResponseWriter, *http.Request) {},
		"kube-probe-21 no end of the body in time": func(rw http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(rw, "ok")
			_ = http.NewResponseController(rw).Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, port := web(t, func(rw http.ResponseWriter, r *http.Request) {
				begin(rw, r)
				<-r.Context().Done()
			}, (*httptest.Server).Start)
			h := spec.Handler{HTTP: &spec.HTTPGet{Port: port}}
			expect(t, Check(within(t, 100*time.Millisecond), h, "", direct), "context deadline exceeded")
		})
	}
}

func TestHTTPS(t *testing.T) {
	var seen *tls.ConnectionState
	s, port := web(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.TLS }, (*httptest.Server).StartTLS)
	secure := spec.Handler{HTTP: &spec.HTTPGet{Port: port, Scheme: "HTTPS"}}
	t.Run("kube-probe-22 a certificate nobody signed is taken", func(t *testing.T) {
		expect(t, Check(within(t, time.Minute), secure, "", direct), "")
		if seen == nil {
			t.Error("not asked over TLS")
		}
	})
	t.Run("plain HTTP to a server of HTTPS is a failure", func(t *testing.T) {
		plain := spec.Handler{HTTP: &spec.HTTPGet{Port: port}}
		expect(t, Check(within(t, time.Minute), plain, "", direct), "400 Bad Request")
	})
	t.Run("a server gone is a failure", func(t *testing.T) {
		s.Close()
		expect(t, Check(within(t, time.Minute), secure, "", direct), "connection refused")
	})
}

// behindProxy is the environment variable with the target host, in the process
// that TestProxy starts.
const behindProxy = "PROBE_BEHIND_PROXY"

func TestMain(m *testing.M) {
	if host := os.Getenv(behindProxy); host != "" {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = Check(ctx, spec.Handler{HTTP: &spec.HTTPGet{Host: host, Port: 80}}, "", direct)
		_ = Send(ctx, spec.Request{Method: "POST", URL: "https://" + host + "/quit"}, direct)
		return
	}
	os.Exit(m.Run())
}

// TestProxy sends requests to an address without a host (RFC 5737), because
// proxies are never used for loopback, and in a new process, because net/http
// looks for proxies only once. Regardless of the results, the proxy must not
// receive the requests.
func TestProxy(t *testing.T) {
	t.Run("kube-probe-22 a proxy is never used", func(t *testing.T) {
		var asked atomic.Int32
		s, _ := web(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, (*httptest.Server).Start)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), behindProxy+"=192.0.2.1", "HTTP_PROXY="+s.URL, "HTTPS_PROXY="+s.URL, "NO_PROXY=", "no_proxy=")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("the proxy was asked %d times", n)
		}
	})
}

func TestHTTPKeepsNoConnection(t *testing.T) {
	t.Run("kube-probe-22 keep-alive is off", func(t *testing.T) {
		var from []string
		_, port := web(t, func(_ http.ResponseWriter, r *http.Request) { from = append(from, r.RemoteAddr) }, (*httptest.Server).Start)
		h := spec.Handler{HTTP: &spec.HTTPGet{Port: port}}
		for range 2 {
			expect(t, Check(within(t, time.Minute), h, "", direct), "")
		}
		if len(from) != 2 || from[0] == from[1] {
			t.Errorf("asked from %v, want two connections", from)
		}
	})
}

func TestHTTPBody(t *testing.T) {
	t.Run("kube-probe-23 an endless body is cut and a success", func(t *testing.T) {
		err := get(t, func(rw http.ResponseWriter, _ *http.Request) {
			line := strings.Repeat("more ", 1000)
			for {
				if _, err := io.WriteString(rw, line); err != nil {
					return
				}
			}
		}, spec.HTTPGet{})
		expect(t, err, "")
	})
	t.Run("a body that breaks off is a failure", func(t *testing.T) {
		expect(t, get(t, raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), spec.HTTPGet{}), "read body: unexpected EOF")
	})
	t.Run("an endless header is a failure", func(t *testing.T) {
		expect(t, get(t, raw("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: "+strings.Repeat("a", 4096)+"\r\n", 1000)), spec.HTTPGet{}), "headers exceeded")
	})
}

func TestSend(t *testing.T) {
	type request struct {
		Method, Path, Length string
		Agent                string
	}
	for _, tt := range []struct {
		name   string
		method string
		start  func(*httptest.Server)
		answer http.HandlerFunc
		want   string
		length string
	}{
		{name: "a POST", method: "POST", start: (*httptest.Server).Start, answer: status(200), length: "0"},
		{name: "a GET", method: "GET", start: (*httptest.Server).Start, answer: status(204)},
		{name: "a PUT", method: "PUT", start: (*httptest.Server).Start, answer: status(202), length: "0"},
		{name: "a certificate nobody signed is taken", method: "GET", start: (*httptest.Server).StartTLS, answer: status(200)},
		{name: "a refusal", method: "POST", start: (*httptest.Server).Start, answer: status(403), length: "0", want: "/quit: 403 Forbidden"},
		{
			name: "a redirect to another host is not followed", method: "POST", start: (*httptest.Server).Start, length: "0",
			answer: func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "http://host.invalid/", http.StatusTemporaryRedirect)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var have []request
			s, _ := web(t, func(rw http.ResponseWriter, r *http.Request) {
				have = append(have, request{r.Method, r.URL.Path, r.Header.Get("Content-Length"), r.UserAgent()})
				tt.answer(rw, r)
			}, tt.start)
			expect(t, Send(within(t, time.Minute), spec.Request{Method: tt.method, URL: s.URL + "/quit"}, direct), tt.want)
			if diff := cmp.Diff([]request{{tt.method, "/quit", tt.length, sendAgent}}, have); diff != "" {
				t.Errorf("requests (-want +have):\n%s", diff)
			}
		})
	}
	t.Run("a password is not quoted", func(t *testing.T) {
		s, _ := web(t, status(401), (*httptest.Server).Start)
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.UserPassword("me", "secret")
		err = Send(within(t, time.Minute), spec.Request{Method: "GET", URL: u.String()}, direct)
		expect(t, err, "401 Unauthorized")
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("error %q", err)
		}
	})
	t.Run("an ended context is told from a failure", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, _ := web(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}, (*httptest.Server).Start)
		if err := Send(ctx, spec.Request{Method: "GET", URL: s.URL}, direct); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
	})
	t.Run("no URL", func(t *testing.T) {
		expect(t, Send(t.Context(), spec.Request{Method: "GET", URL: "http://[::1"}, direct), "missing ']'")
	})
}

func TestHook(t *testing.T) {
	hook := func(t *testing.T, start func(*httptest.Server), h http.HandlerFunc) error {
		t.Helper()
		g := spec.HTTPGet{Path: "/hook", Scheme: "HTTPS", Headers: []spec.Header{{Name: "Authorization", Value: "Bearer x"}}}
		_, g.Port = web(t, h, start)
		return Hook(within(t, time.Minute), spec.Handler{HTTP: &g}, "", direct)
	}
	t.Run("any answer is a success", func(t *testing.T) {
		expect(t, hook(t, (*httptest.Server).StartTLS, func(rw http.ResponseWriter, r *http.Request) {
			if r.UserAgent() != hookAgent || r.Header.Get("Authorization") != "Bearer x" {
				t.Errorf("headers %v", r.Header)
			}
			rw.WriteHeader(http.StatusInternalServerError)
		}), "")
	})
	t.Run("a server of plain HTTP is asked again, without authorization", func(t *testing.T) {
		var have []http.Header
		expect(t, hook(t, (*httptest.Server).Start, func(_ http.ResponseWriter, r *http.Request) { have = append(have, r.Header) }), "")
		if len(have) != 1 || have[0].Get("Authorization") != "" || have[0].Get("User-Agent") != hookAgent {
			t.Errorf("asked %d times with %v", len(have), have)
		}
	})
	t.Run("one that is redirected to HTTPS where there is none is a failure", func(t *testing.T) {
		_, port := web(t, func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "https://"+r.Host+"/", http.StatusFound)
		}, (*httptest.Server).Start)
		expect(t, Hook(within(t, time.Minute), spec.Handler{HTTP: &spec.HTTPGet{Port: port}}, "", direct), "HTTP response to HTTPS client")
	})
	t.Run("a hook of plain HTTP is sent once", func(t *testing.T) {
		var have int
		_, port := web(t, func(rw http.ResponseWriter, _ *http.Request) {
			have++
			rw.WriteHeader(http.StatusNotFound)
		}, (*httptest.Server).Start)
		expect(t, Hook(within(t, time.Minute), spec.Handler{HTTP: &spec.HTTPGet{Port: port}}, "", direct), "")
		if have != 1 {
			t.Errorf("sent %d times", have)
		}
	})
	t.Run("no answer is a failure", func(t *testing.T) {
		expect(t, Hook(within(t, time.Minute), spec.Handler{HTTP: &spec.HTTPGet{Path: "/hook", Port: closedPort(t)}}, "", direct), "/hook: dial tcp")
	})
}
