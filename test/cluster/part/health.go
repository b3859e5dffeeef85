package part

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Inside makes connections in the network namespace of a cluster. [sandbox.Dialer] implements it.
type Inside interface {
	Dial(address netip.AddrPort) (net.Conn, error)
}

// Working reports whether the health check of p succeeds. It takes at most 10 seconds.
// inside may be nil for a part that runs outside the namespaces.
func (p Part) Working(ctx context.Context, inside Inside) bool {
	target, err := url.Parse(p.Health)
	if err != nil {
		return false
	}
	dial := func(_ context.Context, _, address string) (net.Conn, error) {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil, err
		}
		return inside.Dial(parsed)
	}
	if p.Outside || target.Scheme == "unix" {
		dial = new(net.Dialer).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch target.Scheme {
	case "tcp", "unix":
		conn, err := dial(ctx, target.Scheme, target.Host+target.Path)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	default:
		return answers(ctx, dial, p.Health)
	}
}

// answers reports whether url is served with status 200.
func answers(ctx context.Context, dial func(ctx context.Context, network, address string) (net.Conn, error), url string) bool {
	client := http.Client{Transport: &http.Transport{
		DialContext:       dial,
		DisableKeepAlives: true,
		// The answer is one word, over loopback, and some parts create their own certificate.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}
