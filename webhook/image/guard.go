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
	maxAnswer    = 4 << 20  // bytes of a body: a manifest, a configuration or a token
	maxHeader    = 64 << 10 // bytes of the headers of an answer
	maxRedirects = 5        // in one chain
	connectTime  = 10 * time.Second
)

// metadata are addresses, in addition to the link-local ones, at which clouds
// provide credentials: those of Amazon and Google for IPv6, and of Alibaba, Azure
// and Oracle.
var metadata = [...]netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
	netip.MustParseAddr("192.0.0.192"),
}

// nat64 is the network whose addresses contain an IPv4 address (RFC 6052), and
// thisHost is the network whose addresses refer to the host itself (RFC 1122).
var (
	nat64    = netip.MustParsePrefix("64:ff9b::/96")
	thisHost = netip.MustParsePrefix("0.0.0.0/8")
)

// guard is the transport below that of go-containerregistry. The creator of a pod
// chooses the destination of its requests, and a registry chooses the destination
// of redirects. guard therefore rejects everything that must never be requested,
// sent or read.
type guard struct {
	plain   []string // hosts that require plain HTTP and are never contacted with TLS
	allowed []string // registries that the operator has listed; each label may be a glob
	private []string // hosts that may be in a private network
	proxy   func(*http.Request) (*url.URL, error)
	direct  http.RoundTripper // connects only to addresses that are not rejected
	proxied http.RoundTripper // connects only to the operator's proxy, at any address
}

// newTransport returns a guarded transport with the operator's settings.
func newTransport(s Settings) (http.RoundTripper, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // a base image without certificates
	}
	if len(s.CABundle) > 0 && !roots.AppendCertsFromPEM(s.CABundle) {
		return nil, errors.New("read the CA bundle: no PEM certificate in it")
	}
	direct := &http.Transport{
		DialContext:            dialer(s.Loopback, s.Private),
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a small answer could decompress to a large one
		TLSHandshakeTimeout:    connectTime,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
	}
	g := &guard{plain: s.PlainHTTP, allowed: s.Allowed, private: s.Private, proxy: s.Proxy, direct: direct}
	if s.Proxy != nil {
		proxied := direct.Clone()
		proxied.DialContext = (&net.Dialer{Timeout: connectTime}).DialContext
		proxied.Proxy = func(req *http.Request) (*url.URL, error) {
			through, err := s.Proxy(req)
			if through == nil && err == nil {
				err = errors.New("no proxy for this request")
			}
			return through, err
		}
		g.proxied = proxied
	}
	return g, nil
}

// route returns the transport for a request. Without a proxy, the dialer checks
// the address of the host. A proxy resolves the name itself, so that only a
// literal address can be checked.
func (g *guard) route(req *http.Request) (http.RoundTripper, error) {
	if g.proxy == nil {
		return g.direct, nil
	}
	through, err := g.proxy(req)
	if err != nil {
		return nil, err
	}
	if through == nil {
		return g.direct, nil
	}
	ip, err := netip.ParseAddr(req.URL.Hostname())
	if err == nil && refused(ip) {
		return nil, errAddress
	}
	if err == nil && isPrivate(ip) && !listed(g.private, req.URL.Host) {
		return nil, errPrivate
	}
	return g.proxied, nil
}

// errAddress is the rejection of an address.
var errAddress = problemf(Forbidden, "the address of the registry is a loopback, link-local, multicast or cloud metadata address, which koordinator does not contact")

// errPrivate is the rejection of an address in a private network.
var errPrivate = problemf(Forbidden, "the address of the registry is in a private network, and the host is not allowed in koordinator's settings")

// carrierGrade is the shared address space (RFC 6598). Some clouds give pods
// addresses from it.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// isPrivate reports whether an address is in a private network.
func isPrivate(ip netip.Addr) bool {
	ip = plainAddr(ip)
	return ip.IsPrivate() || carrierGrade.Contains(ip)
}

// listed reports whether the operator has listed a host with its port or, for
// port 443, without one.
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

// errScheme ends the attempts of go-containerregistry to find out whether a host
// supports TLS. It is never reported as the cause of a failure, because the other
// attempt has its own.
var errScheme = errors.New("not the scheme for this host")

// dialer returns a dial function that does not connect to rejected addresses. It
// checks the address after the name is resolved, so the name cannot resolve
// differently in between. Hosts in loopback, written HOST:PORT as dialed, may be
// on this machine, and hosts in private may be in a private network.
func dialer(loopback, private []string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		local, near := slices.Contains(loopback, address), listed(private, address)
		d := net.Dialer{Timeout: connectTime, Control: func(_, address string, _ syscall.RawConn) error {
			resolved, err := netip.ParseAddrPort(address)
			if err != nil {
				return problemf(Forbidden, "the address of the registry is not an IP address")
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

// plainAddr returns an address without its zone, and the IPv4 address that it
// contains, if any.
func plainAddr(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if nat64.Contains(ip) {
		b := ip.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return ip
}

// refused reports whether an address belongs to this host, this link, a multicast
// group or a cloud's metadata service.
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
		return nil, problemf(Forbidden, "the registry redirects to %s://%s, which koordinator may not contact", req.URL.Scheme, req.URL.Host)
	default:
		return nil, errScheme
	}
	if redirects > maxRedirects {
		return nil, problemf(Invalid, "the registry redirects more than %d times", maxRedirects)
	}
	if err := g.entrusted(req, first); err != nil {
		return nil, err
	}
	if first.URL.Host != req.URL.Host && req.Header.Get("Authorization") != "" {
		req = req.Clone(req.Context())
		req.Header.Del("Authorization")
	}
	transport, err := g.route(req)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxAnswer && req.Method != http.MethodHead {
		resp.Body.Close()
		return nil, problemf(Invalid, "the response has %d bytes, and the limit is %d", resp.ContentLength, maxAnswer)
	}
	resp.Body = &capped{ReadCloser: resp.Body, ctx: req.Context(), left: maxAnswer}
	return resp, nil
}

// origin returns the request that led to this one through redirects, and the
// number of redirects.
func origin(req *http.Request) (*http.Request, int) {
	n := 0
	for req.Response != nil && req.Response.Request != nil {
		req = req.Response.Request
		n++
	}
	return req, n
}

// capped is a body whose reader fails when the body gets too long. Beyond the
// usual size of answers, it reads only when the lookup's load allows that.
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
		return 0, problemf(Invalid, "the response has more than %d bytes", maxAnswer)
	}
	if l, ok := c.ctx.Value(loadKey{}).(*load); ok && c.left < maxAnswer-usualAnswer {
		if heavy := l.take(c.ctx); heavy != nil {
			return 0, heavy
		}
	}
	return n, err
}
