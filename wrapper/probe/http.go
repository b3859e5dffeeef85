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
	return strings.TrimSpace(fmt.Sprint(r.Status, " ", meaning(r.Status)))
}

// Final reports whether err is a server's answer that another try would not
// change: one of 4xx, except for those that mean "try again later".
func Final(err error) bool {
	r, refused := errors.AsType[Refusal](err)
	later := []int{408, 425, 429} // Request Timeout, Too Early, Too Many Requests
	return refused && r.Status >= 400 && r.Status < 500 && !slices.Contains(later, r.Status)
}

// Send sends one request without a body; ctx carries its timeout. An answer
// from 200 to 399 is a success, its body is dropped. Certificates are not
// verified, as the server is a neighbour in the pod; proxies of the environment
// are not used. Redirects are followed on the same host only: one to another
// host is a success like any answer below 400. HTTPS takes run's Network. When
// ctx has ended, the error wraps ctx's.
func Send(ctx context.Context, r spec.Request, run Runner) error {
	req, err := newRequest(r.Method, r.URL)
	if err != nil {
		return err
	}
	req.Header["User-Agent"] = []string{sendAgent}
	return passes(ctx, req, run.Network)
}

// hookHTTP performs an HTTP hook. As with the kubelet any answer is a success, whatever its status, and a server that
// answers HTTPS in plain HTTP is asked again in plain HTTP, without the
// Authorization header. The rest is as for Check.
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

// checkHTTP succeeds with a status from 200 to 399.
func checkHTTP(ctx context.Context, g spec.HTTPGet, podIP string, network spec.Network) error {
	req, err := newGet(g, podIP, probeAgent)
	if err != nil {
		return err
	}
	return passes(ctx, req, network)
}

// newGet is the request of an httpGet handler. User-Agent and Accept have a
// default, which an empty value removes; Host takes the place of the address.
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
		header.Set("User-Agent", agent) // an empty one is not sent
	}
	if _, given := header["Accept"]; !given {
		header.Set("Accept", "*/*")
	} else if header.Get("Accept") == "" {
		header.Del("Accept")
	}
	req.Host = header.Get("Host")
	return req, nil
}

// passes sends req and says what is wrong with the answer: an error, or a
// status other than 200 to 399.
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

// about puts the request before the cause: GET http://10.0.0.7:80/healthz: 503
// Service Unavailable. Where ctx has ended, that is the cause.
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
