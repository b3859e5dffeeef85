package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// Request is one HTTP/1.1 request without a body. As JSON it is the input of
// the network program's request task: the wrapper passes on requests with an
// HTTPS URL, initially or after redirects.
type Request struct {
	Method    string              `json:"method"`
	URL       string              `json:"url"`              // http or https
	Host      string              `json:"host,omitempty"`   // the Host header, if it differs from the URL's host
	Header    map[string][]string `json:"header,omitempty"` // by canonical name
	First     string              `json:"first"`            // the host of the first request; redirects to other hosts are not followed
	Redirects int                 `json:"redirects,omitempty"`
}

// reply is the network program's output for a Request.
type reply struct {
	Status int    `json:"status,omitempty"` // of the final answer
	Error  string `json:"error,omitempty"`  // why there is none
	Plain  bool   `json:"plain,omitempty"`  // the error is ErrPlain
}

// Secure turns a plain connection to a host into a TLS connection.
type Secure func(ctx context.Context, conn net.Conn, host string) (net.Conn, error)

// ErrPlain is the error for a server that answers TLS with plain HTTP.
var ErrPlain = errors.New("server gave HTTP response to HTTPS client")

// Answer reads a Request from in, sends it, and writes the reply to out. It is
// the network program's request task. Its own error means that in contained no
// Request, or that out is broken.
func Answer(ctx context.Context, in io.Reader, out io.Writer, secure Secure) error {
	var req Request
	if err := json.NewDecoder(in).Decode(&req); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	status, err := answer(ctx, req, secure, nil)
	r := reply{Status: status, Plain: errors.Is(err, ErrPlain)}
	if err != nil {
		r.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(r)
}

// handOver sends a request through the network program.
func handOver(ctx context.Context, req Request, network spec.Network) (int, error) {
	if network == nil {
		return 0, errors.New("HTTPS requires the network program")
	}
	input, err := json.Marshal(req)
	if err != nil {
		return 0, err
	}
	var r reply
	err = network(ctx, spec.RequestTask, input, func(line []byte) error { return json.Unmarshal(line, &r) })
	switch {
	case err != nil:
		return 0, err
	case r.Plain:
		return 0, ErrPlain
	case r.Error != "":
		return 0, errors.New(r.Error)
	case r.Status == 0:
		return 0, fmt.Errorf("%s ended without an answer", spec.NetworkName)
	}
	return r.Status, nil
}

// newRequest returns a request to a URL, without headers.
func newRequest(method, address string) (Request, error) {
	u, err := url.Parse(address)
	if err != nil {
		return Request{}, err
	}
	return Request{Method: method, URL: u.String(), First: u.Hostname(), Header: map[string][]string{}}, nil
}

// redacted returns the URL without its password.
func (r Request) redacted() string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return "request" // cannot happen: newRequest has parsed it
	}
	return u.Redacted()
}

// answer sends req, follows redirects, and returns the status of the final
// answer after it has read the body, up to maxBody bytes. Without secure, it
// passes requests that require TLS to the network program.
func answer(ctx context.Context, req Request, secure Secure, network spec.Network) (int, error) {
	for {
		u, err := url.Parse(req.URL)
		if err != nil {
			return 0, err
		}
		if u.Scheme == "https" && secure == nil {
			return handOver(ctx, req, network)
		}
		a, err := req.send(ctx, u, secure)
		if err != nil {
			return 0, err
		}
		next, err := req.redirected(u, a)
		if err == nil && next == nil {
			return a.status, a.body()
		}
		a.close()
		if err != nil {
			return 0, err
		}
		req = *next
	}
}

// redirected returns the request to which an answer redirects, or nil if the
// answer is not a redirect or leads to another host, which must not be
// contacted.
func (r Request) redirected(from *url.URL, a *response) (*Request, error) {
	switch a.status {
	case 301, 302, 303, 307, 308:
	default:
		return nil, nil
	}
	location := a.header.Get("Location")
	if location == "" {
		return nil, nil
	}
	relative, err := url.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("failed to parse Location header %q: %w", location, err)
	}
	to := from.ResolveReference(relative)
	if to.Hostname() != r.First {
		return nil, nil
	}
	next := r
	if next.Redirects++; next.Redirects >= maxRedirects {
		return nil, fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if a.status < 307 {
		next.Method = "GET"
	}
	if relative.IsAbs() {
		next.Host = ""
	}
	next.URL, next.Header = to.String(), withReferer(r.Header, from, to)
	return &next, nil
}

// withReferer returns the headers of a redirected request. The Referer is the
// previous address, unless the redirect leads from TLS to plain HTTP.
func withReferer(header map[string][]string, from, to *url.URL) map[string][]string {
	next := map[string][]string{}
	maps.Copy(next, header) // header may be nil
	if _, given := next["Referer"]; !given && (from.Scheme == "http" || to.Scheme == "https") {
		last := *from
		last.User = nil
		next["Referer"] = []string{last.String()}
	}
	return next
}

// dialAddress returns the address of a URL's server, as host:port.
func dialAddress(u *url.URL) (string, error) {
	port := u.Port()
	switch {
	case u.Host == "":
		return "", errors.New("no Host in request URL")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", fmt.Errorf("invalid host %q: want ASCII, of an international name the xn-- form", u.Host)
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("unsupported protocol scheme %q", u.Scheme)
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}
