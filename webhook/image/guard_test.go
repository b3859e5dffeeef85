package image

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestRefusedAddresses(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.8.8.8": true, "::1": true, "::ffff:127.0.0.1": true,
		"169.254.169.254": true, "169.254.1.1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:169.254.169.254": true, "64:ff9b::a9fe:a9fe": true,
		"fd00:ec2::254": true, "fd20:ce::254": true, "100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true,
		"0.0.0.0": true, "0.1.2.3": true, "::": true, "224.0.0.1": true, "239.1.1.1": true, "ff02::1": true, "255.255.255.255": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "100.64.0.1": false, "fd00::1": false, "203.0.113.1": false, "2001:db8::1": false, "64:ff9b::a00:1": false,
	} {
		if have := refused(netip.MustParseAddr(text)); have != want {
			t.Errorf("%s: want %v, have %v", text, want, have)
		}
	}
}

func TestWhatIsNotDialled(t *testing.T) {
	s := serve(t, false)
	_, port, _ := strings.Cut(s.host, ":")
	for _, host := range []string{
		s.host,              // an address
		"localhost:" + port, // a name that resolves to it
		"[::1]:" + port,
		"[::ffff:127.0.0.1]:" + port,
		"169.254.169.254",
		"[fe80::1]:5000",
		"[fd00:ec2::254]",
		"0.0.0.0:" + port,
	} {
		r, err := New(Settings{PlainHTTP: []string{host}})
		if err != nil {
			t.Fatal(err)
		}
		if e := refusal(t, r, Query{Image: host + "/app"}); e.Kind != Forbidden || !strings.HasSuffix(e.Error(), "which koordinator does not contact. Use another registry") {
			t.Errorf("%s: %v", host, e)
		}
	}
	if n := s.counted(""); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestOnlyListedHostsMayBeLoopback(t *testing.T) {
	s := serve(t, false)
	_, port, _ := strings.Cut(s.host, ":")
	r, err := New(Settings{PlainHTTP: []string{s.host, "localhost:" + port}, Loopback: []string{"localhost:" + port}})
	if err != nil {
		t.Fatal(err)
	}
	if e := refusal(t, r, Query{Image: "localhost:" + port + "/app"}); e.Kind != NotFound {
		t.Errorf("the listed host: %v", e)
	}
	if e := refusal(t, r, Query{Image: s.host + "/app"}); e.Kind != Forbidden {
		t.Errorf("another name of the same: %v", e)
	}
}

func TestAProxyIsNotAWayAround(t *testing.T) {
	s := serve(t, false)
	through := func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) }
	r := registries(t, Settings{Proxy: through, PlainHTTP: []string{"169.254.169.254", "reg.example"}}, s)
	if e := refusal(t, r, Query{Image: "169.254.169.254/app"}); e.Kind != Forbidden || s.counted("") != 0 {
		t.Errorf("have %v", e)
	}
	if e := refusal(t, r, Query{Image: "reg.example/app"}); e.Kind != NotFound || s.counted("GET /v2/app/manifests/latest") != 1 {
		t.Errorf("have %v", e)
	}
}

// TestAProxyMayHaveAnyAddress has a proxy on this machine that no setting lists,
// as a sidecar of the webhook is. A pod that names the proxy as its registry does
// not reach it.
func TestAProxyMayHaveAnyAddress(t *testing.T) {
	s := serve(t, false)
	settings := Settings{PlainHTTP: []string{"reg.example", s.host}, Proxy: func(req *http.Request) (*url.URL, error) {
		if req.URL.Host == s.host {
			return nil, nil
		}
		return url.Parse(s.URL)
	}}
	r, err := New(settings)
	if err != nil {
		t.Fatal(err)
	}
	if e := refusal(t, r, Query{Image: "reg.example/app"}); e.Kind != NotFound || s.counted("GET /v2/app/manifests/latest") != 1 {
		t.Errorf("through the proxy: %v", e)
	}
	before := s.counted("")
	if e := refusal(t, r, Query{Image: s.host + "/app"}); e.Kind != Forbidden || s.counted("") != before {
		t.Errorf("the proxy as a registry: %v", e)
	}
}

func TestRegistriesThatAreNotListed(t *testing.T) {
	s := serve(t, false)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	for _, tt := range []struct {
		allowed []string
		want    bool
	}{{nil, true}, {[]string{s.host}, true}, {[]string{"127.*.*.*:" + s.host[strings.LastIndex(s.host, ":")+1:]}, true}, {[]string{"127.0.0.1", "*.example"}, false}} {
		r := registries(t, Settings{Allowed: tt.allowed}, s)
		if tt.want {
			mustLook(t, r, Query{Image: text})
		} else if e := refusal(t, r, Query{Image: text}); e.Kind != Forbidden {
			t.Errorf("allowed %q: %v", tt.allowed, e)
		}
	}
}

func TestPlainHTTPHasToBeListed(t *testing.T) {
	s := serve(t, false)
	r, err := New(Settings{Loopback: []string{s.host}})
	if err != nil {
		t.Fatal(err)
	}
	if e := refusal(t, r, Query{Image: s.host + "/app", Keys: keysFor(t, "k", s.host, "u", "p")}); e.Kind != TLS || s.counted("") != 0 {
		t.Errorf("have %v", e)
	}
}

func TestTLS(t *testing.T) {
	s := serve(t, true)
	text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if have := names(mustLook(t, registries(t, Settings{CABundle: bundle}, s), Query{Image: text})); have != "linux/amd64 /e" {
		t.Errorf("have %s", have)
	}
	if e := refusal(t, registries(t, Settings{}, s), Query{Image: text}); e.Kind != TLS || !strings.Contains(e.Cause, "unknown authority") {
		t.Errorf("without the bundle: %v", e)
	}
	_, port, _ := strings.Cut(s.host, ":")
	r, err := New(Settings{CABundle: bundle, Loopback: []string{"localhost:" + port}})
	if err != nil {
		t.Fatal(err)
	}
	if e := refusal(t, r, Query{Image: "localhost:" + port + "/app:1"}); e.Kind != TLS || !strings.Contains(e.Cause, "another host") {
		t.Errorf("under another name: %v", e)
	}
}

func TestNoCredentialsAcrossARedirect(t *testing.T) {
	for _, bearer := range []bool{false, true} {
		from, text := locked(t, bearer)
		to := serve(t, false)
		to.inner = from.inner
		from.before = func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/blobs/") {
				http.Redirect(w, r, to.URL+r.URL.Path, http.StatusTemporaryRedirect)
			}
		}
		var sent []string
		to.before = func(_ http.ResponseWriter, r *http.Request) { sent = append(sent, r.Header.Get("Authorization")) }
		facts := mustLook(t, registries(t, Settings{}, from, to), Query{Image: text, Keys: keysFor(t, "k", from.host, "alice", "a")})
		if names(facts) != "linux/amd64 /secret" || fmt.Sprint(sent) != "[]" {
			t.Errorf("bearer %v: sent %q", bearer, sent)
		}
	}
}

func TestARedirectToARefusedPlace(t *testing.T) {
	target := serve(t, false)
	for _, place := range []string{target.URL, "http://169.254.169.254/latest/meta-data/", "https://169.254.169.254/", "http://other.example/"} {
		s := serve(t, false)
		s.before = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, place, http.StatusFound) }
		r := registries(t, Settings{}, s)
		if e := refusal(t, r, Query{Image: s.host + "/app"}); e.Kind != Forbidden {
			t.Errorf("%s: %v", place, e)
		}
	}
	if n := target.counted(""); n != 0 {
		t.Errorf("%d requests arrived", n)
	}
}

func TestAnswersThatLie(t *testing.T) {
	endless := io.LimitReader(neverEnding('x'), maxAnswer+1)
	for _, tt := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request, string) // for one part: "ping", "manifest" or "config"
		want   string
	}{
		{"a redirect without end", func(w http.ResponseWriter, r *http.Request, part string) {
			if part == "config" {
				http.Redirect(w, r, r.URL.Path, http.StatusFound)
			}
		}, "redirects more than 5 times"},
		{"a manifest without end", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "manifest" {
				w.WriteHeader(http.StatusOK)
				w.(*answered).ResponseWriter.(http.Flusher).Flush()
				io.Copy(w, endless)
			}
		}, "more than 4194304 bytes"},
		{"a manifest that says it is huge", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "manifest" {
				w.Header().Set("Content-Length", "99999999999")
				w.WriteHeader(http.StatusOK)
			}
		}, "99999999999 bytes"},
		{"a configuration with another digest", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "config" {
				w.Write(bytes.Repeat([]byte{' '}, configSize))
			}
		}, "another digest"},
		{"a configuration of another size", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "config" {
				w.Write([]byte("{}"))
			}
		}, "not from a registry"},
		{"an answer that is broken off", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "manifest" {
				w.Header().Set("Content-Length", "1000")
				w.Write([]byte("{"))
			}
		}, "the response is incomplete"},
		{"an index that is none", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "manifest" {
				w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
				w.Write([]byte("[]"))
			}
		}, "not from a registry"},
		{"headers without end", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "ping" {
				w.Header().Set("X", strings.Repeat("x", maxHeader))
				w.WriteHeader(http.StatusOK)
			}
		}, "not from a registry"},
		{"a token service elsewhere on this host", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "ping" {
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://169.254.169.254/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
		}, "not from a registry"},
		{"something that is no registry", func(w http.ResponseWriter, _ *http.Request, part string) {
			if part == "manifest" {
				w.WriteHeader(http.StatusTeapot)
				w.Write([]byte(`{"errors":[{"code":"UNKNOWN","message":"hunter2"}]}`))
			}
		}, "418 I'm a teapot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, false)
			text := s.push(t, "app:1", built(t, "linux/amd64", []string{"/e"}))
			s.before = func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.Contains(r.URL.Path, "/blobs/"):
					tt.answer(w, r, "config")
				case strings.Contains(r.URL.Path, "/manifests/"):
					tt.answer(w, r, "manifest")
				default:
					tt.answer(w, r, "ping")
				}
			}
			e := refusal(t, registries(t, Settings{}, s), Query{Image: text})
			if e.Kind != Invalid || !strings.Contains(e.Error(), tt.want) || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("want %q, have %s: %v", tt.want, e.Kind, e)
			}
		})
	}
}

// configSize is the size of the configuration of the image that the tests of
// wrong answers push.
const configSize = 235

// neverEnding is an endless stream of one byte.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

func TestARegistryThatIsNotThere(t *testing.T) {
	s := serve(t, false)
	host := s.host
	s.Close()
	if e := refusal(t, registries(t, Settings{}, s), Query{Image: host + "/app"}); e.Kind != Unreachable || !strings.Contains(e.Cause, "connection refused") {
		t.Errorf("no server: %v", e)
	}
	r, err := New(Settings{})
	if err != nil {
		t.Fatal(err)
	}
	if e := refusal(t, r, Query{Image: "reg.invalid/app"}); e.Kind != Unreachable && e.Kind != Timeout {
		t.Errorf("no such host: %v", e)
	}
}

// noted is a transport that keeps the last request.
type noted struct{ last *http.Request }

func (n *noted) RoundTrip(r *http.Request) (*http.Response, error) {
	n.last = r
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// redirected returns a request for the last of the addresses, to which redirects
// from the others led.
func redirected(t *testing.T, addresses ...string) *http.Request {
	t.Helper()
	var req *http.Request
	for _, address := range addresses {
		next, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if req != nil {
			next.Response = &http.Response{Request: req}
		}
		req = next
	}
	req.Header.Set("Authorization", "Basic dTpw")
	return req
}

func TestTheGuardTakesCredentialsAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		path []string
		want string
	}{
		{"no redirect", []string{"https://a.example/"}, "Basic dTpw"},
		{"a redirect on the same host", []string{"https://a.example/", "https://a.example/b"}, "Basic dTpw"},
		{"a redirect to another host", []string{"https://a.example/", "https://b.example/"}, ""},
		{"a redirect to a host within it", []string{"https://a.example/", "https://b.a.example/"}, ""},
		{"a redirect to another port", []string{"https://a.example/", "https://a.example:8443/"}, ""},
		{"a redirect over another host to a third", []string{"https://a.example/", "https://b.example/", "https://c.example/"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n noted
			req := redirected(t, tt.path...)
			resp, err := (&guard{direct: &n}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if have := n.last.Header.Get("Authorization"); have != tt.want {
				t.Errorf("sent %q", have)
			}
			if req.Header.Get("Authorization") == "" {
				t.Error("the caller's request was changed")
			}
		})
	}
}

func TestTheGuardCountsRedirects(t *testing.T) {
	addresses := []string{"https://a.example/"}
	for range maxRedirects {
		addresses = append(addresses, "https://a.example/")
	}
	g := &guard{direct: &noted{}}
	resp, err := g.RoundTrip(redirected(t, addresses...))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if _, err := g.RoundTrip(redirected(t, append(addresses, "https://a.example/")...)); err == nil {
		t.Error("one more is followed")
	}
}
