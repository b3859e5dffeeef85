package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// The limits of an HTTP answer.
const (
	maxBody      = 10 << 10 // bytes of a body that are read; the rest is left
	maxHeader    = 1 << 20  // bytes of a header; a longer one is an error
	maxRedirects = 10       // more are an error
	maxCause     = 300      // bytes of an error's text, which may quote the server
)

// The user agents of requests that are not probes.
const (
	hookAgent = "kube-lifecycle/1.36 (koordinator)" // as probeAgent
	sendAgent = "koordinator"
)

// Refusal is an answer with a status outside of 200 to 399.
type Refusal struct{ Status int }

// Error is the status and its meaning: 503 Service Unavailable.
func (r Refusal) Error() string {
	return strings.TrimSpace(fmt.Sprint(r.Status, " ", http.StatusText(r.Status)))
}

// Final reports whether err is a server's answer that another try would not
// change: one of 4xx, but for those that ask to come later.
func Final(err error) bool {
	r, refused := errors.AsType[Refusal](err)
	later := r.Status == http.StatusRequestTimeout || r.Status == http.StatusTooEarly || r.Status == http.StatusTooManyRequests
	return refused && r.Status >= 400 && r.Status < 500 && !later
}

// Send sends one request without a body; ctx carries its timeout. An answer
// from 200 to 399 is a success, its body is dropped. Certificates are not
// verified, as the server is a neighbour in the pod; proxies of the environment
// are not used. Redirects are followed on the same host only: one to another
// host is a success like any answer below 400. When ctx has ended, the error
// wraps ctx's.
func Send(ctx context.Context, r spec.Request) error {
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", sendAgent)
	return passes(req)
}

// hookHTTP performs an HTTP hook. As with the kubelet any answer is a success, whatever its status, and a server that
// answers HTTPS in plain HTTP is asked again in plain HTTP, without the
// Authorization header. The rest is as for Check.
func hookHTTP(ctx context.Context, g spec.HTTPGet, podIP string) error {
	req, err := newGet(ctx, g, podIP, hookAgent)
	if err != nil {
		return err
	}
	_, err = answer(req)
	if !errors.Is(err, http.ErrSchemeMismatch) {
		return about(req, err)
	}
	req = req.Clone(ctx)
	req.URL.Scheme = "http"
	req.Header.Del("Authorization")
	_, err = answer(req)
	return about(req, err)
}

// checkHTTP succeeds with a status from 200 to 399.
func checkHTTP(ctx context.Context, g spec.HTTPGet, podIP string) error {
	req, err := newGet(ctx, g, podIP, probeAgent)
	if err != nil {
		return err
	}
	return passes(req)
}

// newGet is the request of an httpGet handler. User-Agent and Accept have a
// default, which an empty value removes; Host takes the place of the address.
func newGet(ctx context.Context, g spec.HTTPGet, podIP, agent string) (*http.Request, error) {
	u, err := url.Parse(g.Path)
	if err != nil {
		u = &url.URL{Path: g.Path}
	}
	u.Scheme = "http"
	if g.Scheme == "HTTPS" {
		u.Scheme = "https"
	}
	u.Host = address(g.Host, podIP, g.Port)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for _, h := range g.Headers {
		req.Header.Add(h.Name, h.Value)
	}
	if _, given := req.Header["User-Agent"]; !given {
		req.Header.Set("User-Agent", agent) // net/http leaves out an empty one
	}
	if _, given := req.Header["Accept"]; !given {
		req.Header.Set("Accept", "*/*")
	} else if req.Header.Get("Accept") == "" {
		req.Header.Del("Accept")
	}
	req.Host = req.Header.Get("Host")
	return req, nil
}

// passes sends req and says what is wrong with the answer: an error, or a
// status other than 200 to 399.
func passes(req *http.Request) error {
	status, err := answer(req)
	if err != nil {
		return about(req, err)
	}
	if status < 200 || status > 399 {
		return about(req, Refusal{status})
	}
	return nil
}

// answer sends req, follows redirects, and is the status of the last answer,
// once its body or the first maxBody bytes of it have come.
func answer(req *http.Request) (int, error) {
	res, err := newClient().Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // about names method and address
		}
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.CopyN(io.Discard, res.Body, maxBody); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read body: %w", err)
	}
	return res.StatusCode, nil
}

// newClient is a client for one request: no proxy (the environment is the
// app's), no verified certificates, no connection kept, no compression asked.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer().DialContext,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
		CheckRedirect: redirect,
	}
}

// redirect ends at an answer that leads to another host, which is not ours to
// ask.
func redirect(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	return nil
}

// about puts the request before the cause: GET http://10.0.0.7:80/healthz: 503
// Service Unavailable. Where ctx has ended, that is the cause.
func about(req *http.Request, err error) error {
	if err == nil {
		return nil
	}
	asked := req.Method + " " + req.URL.Redacted()
	if ended := req.Context().Err(); ended != nil {
		return fmt.Errorf("%s: %w", asked, ended)
	}
	if r, refused := errors.AsType[Refusal](err); refused {
		return fmt.Errorf("%s: %w", asked, r)
	}
	return fmt.Errorf("%s: %.*s", asked, maxCause, err.Error())
}
