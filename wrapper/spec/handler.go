package spec

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Handler is an action in or on a container, in the terms of the pod
// (v1.ProbeHandler, v1.LifecycleHandler). Exactly one field is set. The webhook
// has resolved named ports and expanded $(VAR).
type Handler struct {
	Exec  *Exec      `json:"exec,omitempty"`
	HTTP  *HTTPGet   `json:"httpGet,omitempty"`
	TCP   *TCPSocket `json:"tcpSocket,omitempty"`
	GRPC  *GRPC      `json:"grpc,omitempty"`  // probes only
	Sleep *Sleep     `json:"sleep,omitempty"` // hooks only
}

// The kinds of handlers. An empty host means the pod's own address.
type (
	// Exec is a command to run in the container, without a shell.
	Exec struct {
		Command []string `json:"command"`
	}
	// HTTPGet is a GET request. A status from 200 to 399 is a success.
	HTTPGet struct {
		Path    string   `json:"path,omitempty"` // default /
		Port    int      `json:"port"`
		Host    string   `json:"host,omitempty"`
		Scheme  string   `json:"scheme,omitempty"` // HTTP, the default, or HTTPS, whose certificate is not verified
		Headers []Header `json:"httpHeaders,omitempty"`
	}
	// Header is one header of a request.
	Header struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	// TCPSocket is a connection to open.
	TCPSocket struct {
		Port int    `json:"port"`
		Host string `json:"host,omitempty"`
	}
	// GRPC is a call to the health service (grpc.health.v1), without TLS.
	GRPC struct {
		Port    int    `json:"port"`
		Service string `json:"service,omitempty"`
	}
	// Sleep is a pause.
	Sleep struct {
		Seconds int `json:"seconds"`
	}
)

// Probe is one of the container's own probes (v1.Probe). It has no failure
// threshold: ReadyProbes are repeated until they pass, and for the others the
// kubelet counts the failures.
type Probe struct {
	Handler

	InitialDelaySeconds int `json:"initialDelaySeconds,omitempty"` // from the start of the command
	TimeoutSeconds      int `json:"timeoutSeconds,omitempty"`      // 0: 1
	SuccessThreshold    int `json:"successThreshold,omitempty"`    // 0: 1
	PeriodSeconds       int `json:"periodSeconds,omitempty"`       // 0: 10; startup probes only
}

// Timeout returns how long one try may take, at least one second.
func (p Probe) Timeout() time.Duration { return time.Duration(max(1, p.TimeoutSeconds)) * time.Second }

// InitialDelay returns the delay between the command's start and the first try.
func (p Probe) InitialDelay() time.Duration {
	return time.Duration(p.InitialDelaySeconds) * time.Second
}

// Period returns the interval at which the kubelet runs the probe.
func (p Probe) Period() time.Duration {
	return time.Duration(cmp.Or(p.PeriodSeconds, 10)) * time.Second
}

// Successes returns how many consecutive tries must pass, at least one.
func (p Probe) Successes() int { return max(1, p.SuccessThreshold) }

// check returns the problem with a handler, if any.
func (h Handler) check() error {
	kinds := 0
	for _, set := range []bool{h.Exec != nil, h.HTTP != nil, h.TCP != nil, h.GRPC != nil, h.Sleep != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return wrong(InvalidValue, "", "Set one of exec, grpc, httpGet, sleep, tcpSocket", "it has no kind, or several")
	case h.Exec != nil && (len(h.Exec.Command) == 0 || h.Exec.Command[0] == ""):
		return errors.New("exec: the command is empty")
	case h.HTTP != nil:
		return checkHTTPGet(*h.HTTP)
	case h.TCP != nil:
		return checkPort("tcpSocket", h.TCP.Port)
	case h.GRPC != nil:
		return checkPort("grpc", h.GRPC.Port)
	case h.Sleep != nil && h.Sleep.Seconds < 0:
		return errors.New("sleep: seconds is negative")
	}
	return nil
}

func checkHTTPGet(g HTTPGet) error {
	if !slices.Contains([]string{"", "HTTP", "HTTPS"}, g.Scheme) {
		return wrong(InvalidValue, g.Scheme, "Use HTTP or HTTPS", "httpGet: %q is not a valid scheme", g.Scheme)
	}
	return checkPort("httpGet", g.Port)
}

func checkPort(kind string, port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("%s: port %d is not between 1 and 65535", kind, port)
	}
	return nil
}

// checkHook returns the problem with a hook, if any.
func (h Handler) checkHook() error {
	if h.GRPC != nil {
		return errors.New("grpc: a hook cannot be a gRPC call")
	}
	return h.check()
}

// check returns the problem with a probe, if any.
func (p Probe) check() error {
	if p.Sleep != nil {
		return errors.New("sleep: a probe cannot be a pause")
	}
	if p.InitialDelaySeconds < 0 || p.TimeoutSeconds < 0 || p.SuccessThreshold < 0 || p.PeriodSeconds < 0 {
		return errors.New("a number of a probe is negative")
	}
	return p.Handler.check()
}

// Request is an HTTP request without a body. A status from 200 to 399 is a
// success.
type Request struct {
	Method string // GET, POST or PUT
	URL    string // absolute, http or https
}

// String returns the request as a user writes it: "POST
// http://127.0.0.1:15020/quitquitquit".
func (r Request) String() string { return r.Method + " " + r.URL }

// ParseRequest parses a request in the form that String returns.
func ParseRequest(text string) (Request, error) {
	method, address, found := strings.Cut(strings.TrimSpace(text), " ")
	address = strings.TrimSpace(address)
	if !found || !slices.Contains([]string{"GET", "POST", "PUT"}, method) {
		return Request{}, wrong(InvalidRequest, text, `Write GET, POST or PUT and a URL, for example "POST http://127.0.0.1:15020/quitquitquit"`, "%q is not an HTTP request", text)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Contains(address, " ") {
		return Request{}, wrong(InvalidRequest, address, `Write scheme, host and port, for example "http://127.0.0.1:15020/quitquitquit"`, "%q is not the URL of a server", address)
	}
	return Request{method, address}, nil
}

func parseRequest(v json.RawMessage, to **Request) error {
	text, err := scalar(v)
	if err != nil {
		return err
	}
	r, err := ParseRequest(text)
	if err == nil {
		*to = &r
	}
	return err
}

// parseRequests parses one request, or a list of requests.
func parseRequests(v json.RawMessage, to *[]Request) error {
	items := []json.RawMessage{v}
	if v = bytes.TrimSpace(v); len(v) > 0 && v[0] == '[' {
		if err := json.Unmarshal(v, &items); err != nil {
			return err
		}
	}
	var errs Problems
	for _, item := range items {
		var r *Request
		if err := parseRequest(item, &r); err != nil {
			errs = append(errs, problemsOf(err)...)
			continue
		}
		*to = append(*to, *r)
	}
	return join(errs)
}
