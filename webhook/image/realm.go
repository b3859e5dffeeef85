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

// holder is what is asked with credentials, for the guard.
type holder struct {
	host string // the registry or mirror, as in requests
	key  Key
}

// holderKey is the context's key of a holder.
type holderKey struct{}

// withHolder marks the requests of a try that has credentials. They may go to
// its host and, where that names a realm to get tokens from, only to one that
// mayHold allows.
func withHolder(ctx context.Context, host string, key Key) context.Context {
	if key == (Key{}) {
		return ctx
	}
	return context.WithValue(ctx, holderKey{}, holder{host: strings.ToLower(host), key: key})
}

// entrusted refuses a request that would take credentials to a host that has
// nothing to do with the registry. Requests for the realm begin there, and do
// not come from a redirect of the registry's.
func (g *guard) entrusted(req, first *http.Request) error {
	h, has := req.Context().Value(holderKey{}).(holder)
	if !has || strings.EqualFold(first.URL.Host, h.host) {
		return nil
	}
	for _, host := range []string{first.URL.Host, req.URL.Host} {
		if !g.mayHold(h, strings.ToLower(host)) {
			return problemf(Forbidden, "it wants the credentials to be sent to %s, which is neither in its domain nor listed", host)
		}
	}
	return nil
}

// mayHold reports whether a realm may get the credentials: it is the registry
// itself or within the same registered domain, the credentials name it, or the
// operator has listed it.
func (g *guard) mayHold(h holder, realm string) bool {
	return realm == h.host || sameDomain(realm, h.host) || matchHost(h.key.host, realm) ||
		slices.ContainsFunc(g.allowed, func(pattern string) bool { return matchHost(pattern, realm) })
}

// sameDomain reports whether two hosts are of one registered domain, such as
// auth.docker.io and index.docker.io: one label below a suffix under which
// anybody can register. Addresses, and names of one label, have none.
func sameDomain(a, b string) bool {
	one, two := domain(a), domain(b)
	return one != "" && one == two
}

// domain is a host's registered domain, "" where it has none.
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
