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

// Handler is one thing to do in or to a container, in the words of the pod
// (v1.ProbeHandler, v1.LifecycleHandler). Exactly one field is set. The webhook
// has resolved named ports and expanded $(VAR).
type Handler struct {
	Exec  *Exec      `json:"exec,omitempty"`
	HTTP  *HTTPGet   `json:"httpGet,omitempty"`
	TCP   *TCPSocket `json:"tcpSocket,omitempty"`
	GRPC  *GRPC      `json:"grpc,omitempty"`  // probes only
	Sleep *Sleep     `json:"sleep,omitempty"` // hooks only
}

// The kinds of handlers. An empty host is the pod's own address.
type (
	// Exec is a command to run in the container, without a shell.
	Exec struct {
		Command []string `json:"command"`
	}
	// HTTPGet is a GET request. Anything from 200 to 399 is a success.
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
	// GRPC is a call of the health service (grpc.health.v1), without TLS.
	GRPC struct {
		Port    int    `json:"port"`
		Service string `json:"service,omitempty"`
	}
	// Sleep is a pause.
	Sleep struct {
		Seconds int `json:"seconds"`
	}
)

// Probe is a container's own startup or readiness probe (v1.Probe). How many
// failures count is not in it: whoever asks here asks until it passes.
type Probe struct {
	Handler

	InitialDelaySeconds int `json:"initialDelaySeconds,omitempty"` // from the start of the command
	TimeoutSeconds      int `json:"timeoutSeconds,omitempty"`      // 0: 1
	SuccessThreshold    int `json:"successThreshold,omitempty"`    // 0: 1
	PeriodSeconds       int `json:"periodSeconds,omitempty"`       // 0: 10; of a startup probe alone
}

// Timeout is how long one try may take, at least a second.
func (p Probe) Timeout() time.Duration { return time.Duration(max(1, p.TimeoutSeconds)) * time.Second }

// InitialDelay is how long after the command's start the first try comes.
func (p Probe) InitialDelay() time.Duration {
	return time.Duration(p.InitialDelaySeconds) * time.Second
}

// Period is how often the kubelet asks.
func (p Probe) Period() time.Duration {
	return time.Duration(cmp.Or(p.PeriodSeconds, 10)) * time.Second
}

// Successes is how many tries in a row have to pass, at least one.
func (p Probe) Successes() int { return max(1, p.SuccessThreshold) }

// check says what is wrong with a handler.
func (h Handler) check() error {
	kinds := 0
	for _, set := range []bool{h.Exec != nil, h.HTTP != nil, h.TCP != nil, h.GRPC != nil, h.Sleep != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("want exactly one of exec, grpc, httpGet, sleep, tcpSocket")
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
		return fmt.Errorf("httpGet: unknown scheme %q (one of HTTP, HTTPS)", g.Scheme)
	}
	return checkPort("httpGet", g.Port)
}

func checkPort(kind string, port int) error {
	if port < 1 || port > 65535 {
		return fmt.Errorf("%s: port %d is not between 1 and 65535", kind, port)
	}
	return nil
}

// parseHandler reads a hook.
func parseHandler(v json.RawMessage) (*Handler, error) {
	var h Handler
	if err := strict(v, &h); err != nil {
		return nil, err
	}
	if h.GRPC != nil {
		return nil, errors.New("grpc: a hook cannot be a gRPC call")
	}
	return &h, h.check()
}

// parseProbe reads a probe.
func parseProbe(v json.RawMessage) (*Probe, error) {
	var p Probe
	if err := strict(v, &p); err != nil {
		return nil, err
	}
	if p.Sleep != nil {
		return nil, errors.New("sleep: a probe cannot be a pause")
	}
	if p.InitialDelaySeconds < 0 || p.TimeoutSeconds < 0 || p.SuccessThreshold < 0 || p.PeriodSeconds < 0 {
		return nil, errors.New("a number of a probe is negative")
	}
	return &p, p.check()
}

// parseProbes reads a list of probes.
func parseProbes(v json.RawMessage) ([]Probe, error) {
	var items []json.RawMessage
	if err := strict(v, &items); err != nil {
		return nil, err
	}
	var probes []Probe
	for i, item := range items {
		p, err := parseProbe(item)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		probes = append(probes, *p)
	}
	return probes, nil
}

// Request is an HTTP request without a body. Anything from 200 to 399 is a
// success.
type Request struct {
	Method string // GET, POST or PUT
	URL    string // absolute, http or https
}

// String is the request as a user writes it: "POST http://127.0.0.1:15020/quitquitquit".
func (r Request) String() string { return r.Method + " " + r.URL }

// ParseRequest reads a request as String writes it.
func ParseRequest(text string) (Request, error) {
	method, address, found := strings.Cut(strings.TrimSpace(text), " ")
	address = strings.TrimSpace(address)
	if !found || !slices.Contains([]string{"GET", "POST", "PUT"}, method) {
		return Request{}, fmt.Errorf(`%q is no request: write GET, POST or PUT and a URL, as "POST http://127.0.0.1:15020/quitquitquit"`, text)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return Request{}, fmt.Errorf(`%q is no URL of a server: write scheme, host and port, as "http://127.0.0.1:15020/quitquitquit"`, address)
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

// parseRequests reads one request, or a list of them.
func parseRequests(v json.RawMessage, to *[]Request) error {
	items := []json.RawMessage{v}
	if v = bytes.TrimSpace(v); len(v) > 0 && v[0] == '[' {
		if err := json.Unmarshal(v, &items); err != nil {
			return err
		}
	}
	var errs []string
	for _, item := range items {
		var r *Request
		if err := parseRequest(item, &r); err != nil {
			errs = append(errs, err.Error())
			continue
		}
		*to = append(*to, *r)
	}
	return join(errs)
}
