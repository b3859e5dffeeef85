package image

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// holder identifies the credentials of a request, for the guard.
type holder struct {
	host string // the registry or mirror, as in requests
	key  Key
}

// holderKey is the context key of a holder.
type holderKey struct{}

// withHolder marks the requests of a try that has credentials. They may be sent
// to its host. If that host names a realm that issues tokens, they may be sent to
// the realm only if mayHold allows it.
func withHolder(ctx context.Context, host string, key Key) context.Context {
	if key == (Key{}) {
		return ctx
	}
	return context.WithValue(ctx, holderKey{}, holder{host: strings.ToLower(host), key: key})
}

// entrusted rejects a request that would send credentials to a host that is
// unrelated to the registry. Requests to a realm are sent to the realm directly
// and are not redirects of the registry.
func (g *guard) entrusted(req, first *http.Request) error {
	h, has := req.Context().Value(holderKey{}).(holder)
	if !has || strings.EqualFold(first.URL.Host, h.host) {
		return nil
	}
	for _, host := range []string{first.URL.Host, req.URL.Host} {
		if !g.mayHold(h, strings.ToLower(host)) {
			return problemf(Forbidden, "the registry requires that credentials are sent to %s, which is neither in its domain nor allowed", host)
		}
	}
	return nil
}

// mayHold reports whether a realm may get the credentials: it is the registry
// itself or in the same registered domain, the credentials name it, or the
// operator has listed it.
func (g *guard) mayHold(h holder, realm string) bool {
	return realm == h.host || sameDomain(realm, h.host) || matchHost(h.key.host, realm) ||
		slices.ContainsFunc(g.allowed, func(pattern string) bool { return matchHost(pattern, realm) })
}

// sameDomain reports whether two hosts have the same registered domain, for
// example auth.docker.io and index.docker.io. A registered domain is one label
// below a suffix under which anybody can register names. IP addresses and
// single-label names have none.
func sameDomain(a, b string) bool {
	one, two := domain(a), domain(b)
	return one != "" && one == two
}

// domain returns a host's registered domain, or "" if it has none.
func domain(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ""
	}
	name, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimSuffix(host, "."))
	if err != nil {
		return ""
	}
	return name
}
