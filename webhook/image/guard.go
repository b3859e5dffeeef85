package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	maxAnswer    = 4 << 20  // bytes of a body: a manifest, a config, a token
	maxHeader    = 64 << 10 // bytes of the headers of an answer
	maxRedirects = 5        // in a row
	connectTime  = 10 * time.Second
)

// metadata are addresses besides the link-local ones under which clouds hand
// out credentials: Amazon's and Google's for IPv6, Alibaba's, Azure's, Oracle's.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("192.0.0.192"),
}

// Networks whose addresses hold an IPv4 address (RFC 6052), and which stand
// for the host itself (RFC 1122).
var (
	nat64    = netip.MustParsePrefix("64:ff9b::/96")
	thisHost = netip.MustParsePrefix("0.0.0.0/8")
)

// guard is the transport below go-containerregistry's. Whoever creates a pod
// chooses where its requests go, and a registry where redirects lead: what
// must never be asked, sent or read is refused here.
type guard struct {
	plain   []string // hosts that are spoken to in plain HTTP, and only so
	allowed []string // registries that the operator has listed, each label may be a glob
	inner   http.RoundTripper
}

// newTransport is a guarded transport with the operator's settings.
func newTransport(s Settings) (http.RoundTripper, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a base image without any
	}
	if len(s.CABundle) > 0 && !roots.AppendCertsFromPEM(s.CABundle) {
		return nil, errors.New("read the CA bundle: no PEM certificate in it")
	}
	return &guard{plain: s.PlainHTTP, allowed: s.Allowed, inner: &http.Transport{
		Proxy:                  proxy(s.Proxy, s.Private),
		DialContext:            dialer(s.Loopback, s.Private),
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a small answer could become a large one
		TLSHandshakeTimeout:    connectTime,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
	}}, nil
}

// proxy keeps refused addresses from being asked through a proxy, which would
// be dialled instead. What names stand for is the proxy's to judge.
func proxy(choose func(*http.Request) (*url.URL, error), private []string) func(*http.Request) (*url.URL, error) {
	if choose == nil {
		return nil
	}
	return func(req *http.Request) (*url.URL, error) {
		through, err := choose(req)
		if through == nil || err != nil {
			return nil, err // the dialer sees the address
		}
		ip, err := netip.ParseAddr(req.URL.Hostname())
		if err == nil && refused(ip) {
			return nil, errAddress
		}
		if err == nil && isPrivate(ip) && !listed(private, req.URL.Host) {
			return nil, errPrivate
		}
		return through, nil
	}
}

// errAddress is the refusal of an address.
var errAddress = problemf(Forbidden, "its address is one at which no registry is looked for: loopback, link-local, multicast or a cloud's metadata")

// errPrivate is the refusal of an address in a private network.
var errPrivate = problemf(Forbidden, "its address is in a private network, and the operator of koordinator has not listed this host")

// carrierGrade is the shared address space (RFC 6598), from which some clouds
// give pods their addresses.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// isPrivate reports whether an address is one of a private network.
func isPrivate(ip netip.Addr) bool {
	ip = plainAddr(ip)
	return ip.IsPrivate() || carrierGrade.Contains(ip)
}

// listed reports whether the operator has listed a host, with or without the
// port at which it is dialled.
func listed(patterns []string, hostport string) bool {
	hosts := []string{strings.ToLower(hostport)}
	if host, port, err := net.SplitHostPort(hosts[0]); err == nil && port == "443" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		hosts = append(hosts, host)
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(hosts, func(host string) bool { return matchHost(pattern, host) })
	})
}

// errScheme ends go-containerregistry's attempts to find out whether a host
// speaks TLS. It never is the reason of a failure, as the other attempt has one.
var errScheme = errors.New("not the scheme for this host")

// dialer connects to no address that is refused. It looks at the address after
// the name was resolved, so a name cannot change its mind in between. Hosts in
// loopback, HOST:PORT as dialled, may be on this machine, those in private may
// be in a private network.
func dialer(loopback, private []string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		local, near := slices.Contains(loopback, address), listed(private, address)
		d := net.Dialer{Timeout: connectTime, Control: func(_, address string, _ syscall.RawConn) error {
			resolved, err := netip.ParseAddrPort(address)
			if err != nil {
				return problemf(Forbidden, "its address is not an IP address")
			}
			switch ip := resolved.Addr(); {
			case refused(ip) && (!local || !ip.Unmap().IsLoopback()):
				return errAddress
			case isPrivate(ip) && !near:
				return errPrivate
			}
			return nil
		}}
		return d.DialContext(ctx, network, address)
	}
}

// plainAddr is an address without a zone, and the IPv4 address in one that holds
// one.
func plainAddr(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// refused reports whether an address belongs to this host, this link, a group
// or a cloud's metadata service.
func refused(ip netip.Addr) bool {
	ip = plainAddr(ip)
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() ||
		ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || thisHost.Contains(ip) || slices.Contains(metadata[:], ip)
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	first, redirects := origin(req)
	plain := slices.Contains(g.plain, strings.ToLower(req.URL.Host))
	switch {
	case plain == (req.URL.Scheme == "http"):
	case redirects > 0:
		return nil, problemf(Forbidden, "it redirects to %s://%s, which is not to be asked in that way", req.URL.Scheme, req.URL.Host)
	default:
		return nil, errScheme
	}
	if redirects > maxRedirects {
		return nil, problemf(Invalid, "it redirects more than %d times", maxRedirects)
	}
	if err := g.entrusted(req, first); err != nil {
		return nil, err
	}
	if first.URL.Host != req.URL.Host && req.Header.Get("Authorization") != "" {
		req = req.Clone(req.Context())
		req.Header.Del("Authorization")
	}
	resp, err := g.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxAnswer && req.Method != http.MethodHead {
		resp.Body.Close()
		return nil, problemf(Invalid, "its answer has %d bytes, at most %d are read", resp.ContentLength, maxAnswer)
	}
	resp.Body = &capped{ReadCloser: resp.Body, ctx: req.Context(), left: maxAnswer}
	return resp, nil
}

// origin is the request that led to this one through redirects, and how many.
func origin(req *http.Request) (*http.Request, int) {
	n := 0
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
		n++
	}
	return req, n
}

// capped is a body that fails where it gets too long, and that is read further
// than answers usually are only when the lookup's load allows it.
type capped struct {
	io.ReadCloser
	ctx  context.Context // of the request
	left int             // bytes
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.left -= n
	if c.left < 0 {
		return 0, problemf(Invalid, "its answer has more than %d bytes", maxAnswer)
	}
	if l, ok := c.ctx.Value(loadKey{}).(*load); ok && c.left < maxAnswer-usualAnswer {
		if heavy := l.take(c.ctx); heavy != nil {
			return 0, heavy
		}
	}
	return n, err
}
