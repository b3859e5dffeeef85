package probe

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"koordinator.io/koordinator/wrapper/spec"
)

// The limits of an HTTP answer.
const (
	maxBody      = 10 << 10 // bytes of a body that are read; the rest is ignored
	maxHeader    = 1 << 20  // bytes of a header; a longer one is an error
	maxRedirects = 10       // this many are an error
	maxCause     = 300      // bytes of an error's text, which may quote the server
)

// The user agents of requests that are not probes.
const (
	hookAgent = "kube-lifecycle/1.36 (koordinator)" // like probeAgent
	sendAgent = "koordinator"
)

// Refusal is an answer with a status outside 200 to 399.
type Refusal struct{ Status int }

// Error returns the status and its meaning: "503 Service Unavailable".
func (r Refusal) Error() string {
	return strings.TrimSpace(fmt.Sprint(r.Status, " ", meaning(r.Status)))
}

// Final reports whether err is an answer that another try would not change: a
// status of 4xx, except for those that mean "try again later".
func Final(err error) bool {
	r, refused := errors.AsType[Refusal](err)
	later := []int{408, 425, 429} // Request Timeout, Too Early, Too Many Requests
	return refused && r.Status >= 400 && r.Status < 500 && !slices.Contains(later, r.Status)
}

// Send sends one request without a body; ctx carries the timeout. A status from
// 200 to 399 is a success; the body is discarded. Send does not verify
// certificates, because the server runs in the same pod, and it does not use
// the proxies of the environment. It follows redirects to the same host only: a
// redirect to another host is a success, like any other status below 400. For
// HTTPS it needs run's Network. If ctx has ended, the error wraps that of ctx.
func Send(ctx context.Context, r spec.Request, run Runner) error {
	req, err := newRequest(r.Method, r.URL)
	if err != nil {
		return err
	}
	req.Header["User-Agent"] = []string{sendAgent}
	return passes(ctx, req, run.Network)
}

// hookHTTP performs an HTTP hook. As with the kubelet, any answer is a success,
// regardless of its status, and if a server answers HTTPS with plain HTTP, the
// request is repeated over plain HTTP without the Authorization header.
// Otherwise it behaves like Check.
func hookHTTP(ctx context.Context, g spec.HTTPGet, podIP string, network spec.Network) error {
	req, err := newGet(g, podIP, hookAgent)
	if err != nil {
		return err
	}
	_, err = answer(ctx, req, nil, network)
	if !errors.Is(err, ErrPlain) {
		return about(ctx, req, err)
	}
	if rest, secure := strings.CutPrefix(req.URL, "https:"); secure {
		req.URL = "http:" + rest
	}
	delete(req.Header, "Authorization")
	_, err = answer(ctx, req, nil, network)
	return about(ctx, req, err)
}

// checkHTTP succeeds if the status is from 200 to 399.
func checkHTTP(ctx context.Context, g spec.HTTPGet, podIP string, network spec.Network) error {
	req, err := newGet(g, podIP, probeAgent)
	if err != nil {
		return err
	}
	return passes(ctx, req, network)
}

// newGet returns the request of an httpGet handler. User-Agent and Accept have
// defaults, which an empty value removes. A Host header replaces the address in
// the request's Host.
func newGet(g spec.HTTPGet, podIP, agent string) (Request, error) {
	u, err := url.Parse(g.Path)
	if err != nil {
		u = &url.URL{Path: g.Path}
	}
	u.Scheme = "http"
	if g.Scheme == "HTTPS" {
		u.Scheme = "https"
	}
	u.Host = address(g.Host, podIP, g.Port)
	req, err := newRequest("GET", u.String())
	if err != nil {
		return Request{}, err
	}
	header := textproto.MIMEHeader(req.Header)
	for _, h := range g.Headers {
		header.Add(h.Name, h.Value)
	}
	if _, given := header["User-Agent"]; !given {
		header.Set("User-Agent", agent) // an empty value is not sent
	}
	if _, given := header["Accept"]; !given {
		header.Set("Accept", "*/*")
	} else if header.Get("Accept") == "" {
		header.Del("Accept")
	}
	req.Host = header.Get("Host")
	return req, nil
}

// passes sends req and returns the problem with the answer: an error, or a
// status outside 200 to 399.
func passes(ctx context.Context, req Request, network spec.Network) error {
	status, err := answer(ctx, req, nil, network)
	if err != nil {
		return about(ctx, req, err)
	}
	if status < 200 || status > 399 {
		return about(ctx, req, Refusal{status})
	}
	return nil
}

// about adds the request to the cause: "GET http://10.0.0.7:80/healthz: 503
// Service Unavailable". If ctx has ended, that is the cause.
func about(ctx context.Context, req Request, err error) error {
	if err == nil {
		return nil
	}
	asked := req.Method + " " + req.redacted()
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", asked, ended)
	}
	if r, refused := errors.AsType[Refusal](err); refused {
		return fmt.Errorf("%s: %w", asked, r)
	}
	return fmt.Errorf("%s: %.*s", asked, maxCause, err.Error())
}
