package image

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// TestB10CredentialsGoToNoForeignRealm uses a registry that names another host as
// its source of tokens. Both are behind a proxy, so that they have names.
func TestB10CredentialsGoToNoForeignRealm(t *testing.T) {
	const name = "reg.shop.org"
	for _, tt := range []struct {
		name, realm string
		allowed     []string
		want        bool // whether the realm gets the credentials
	}{
		{"of the same domain", "sso.shop.org", nil, true},
		{"foreign", "tokens.other.org", nil, false},
		{"foreign, only the registry is listed", "tokens.other.org", []string{name}, false},
		{"foreign, listed", "tokens.other.org", []string{name, "tokens.other.org"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := locked(t, true)
			var got atomic.Bool
			s.before = func(w http.ResponseWriter, r *http.Request) {
				user, _, _ := r.BasicAuth()
				switch {
				case r.Host == tt.realm && user == "alice":
					got.Store(true)
				case r.Host == name && r.Header.Get("Authorization") == "":
					w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, tt.realm))
					w.WriteHeader(http.StatusUnauthorized)
				}
			}
			r, err := New(Settings{
				Allowed: tt.allowed, PlainHTTP: []string{name, tt.realm}, Loopback: []string{s.host},
				Proxy: func(*http.Request) (*url.URL, error) { return url.Parse(s.URL) },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = look(t, r, Query{Image: name + "/team/secret:1", Keys: keysFor(t, "test", name, "alice", "a")})
			if got.Load() != tt.want || (err == nil) != tt.want {
				t.Errorf("the realm got the credentials: %v, want %v (%v)", got.Load(), tt.want, err)
			}
			if !tt.want && (err == nil || !strings.Contains(err.Error(), "requires that credentials are sent to "+tt.realm)) {
				t.Errorf("have %v", err)
			}
		})
	}
}

func TestB10WhichRealmMayHoldCredentials(t *testing.T) {
	for _, tt := range []struct {
		registry, key, realm string
		allowed              []string
		want                 bool
	}{
		{"index.docker.io", "index.docker.io", "auth.docker.io", nil, true},
		{"registry.gitlab.com", "registry.gitlab.com", "gitlab.com", nil, true},
		{"reg.shop.example", "reg.shop.example", "sso.shop.example:8443", nil, true},
		{"ghcr.io", "ghcr.io", "ghcr.io", nil, true},
		{"localhost:5000", "localhost:5000", "localhost:5000", nil, true},
		{"reg.example.com", "reg.example.com", "evil.com", nil, false},
		{"reg.example.com", "reg.example.com", "example.com.evil.com", nil, false},
		{"shop.github.io", "shop.github.io", "evil.github.io", nil, false}, // anybody can register a name there
		{"shop.co.uk", "shop.co.uk", "evil.co.uk", nil, false},
		{"10.0.0.1:5000", "10.0.0.1:5000", "10.9.0.1:5000", nil, false},
		{"10.0.0.1:5000", "10.0.0.1:5000", "10.0.0.1:5001", nil, false},
		{"[fd00::1]:5000", "[fd00::1]:5000", "[fd00::2]:5000", nil, false},
		{"registry", "registry", "tokens", nil, false},
		{"reg.example.com", "*.example.com", "sso.other.org", nil, false},
		{"reg.example.com", "*.*.*", "sso.other.org", nil, true}, // the credentials allow it
		{"reg.example.com", "reg.example.com", "sso.other.org", []string{"reg.example.com", "sso.other.org"}, true},
		{"reg.example.com", "reg.example.com", "sso.other.org", []string{"reg.example.com"}, false},
	} {
		g := &guard{allowed: tt.allowed}
		if have := g.mayHold(holder{host: tt.registry, key: Key{host: tt.key}}, tt.realm); have != tt.want {
			t.Errorf("%+v: have %v", tt, have)
		}
	}
}

func TestB11PrivateNetworksAreOnlyForListedHosts(t *testing.T) {
	through := func(*http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }
	for _, settings := range []Settings{{}, {Proxy: through}} {
		for _, host := range []string{"10.0.0.1", "172.16.0.1:5000", "192.168.1.1", "100.64.0.1", "[fd00::1]:5000", "[64:ff9b::a00:1]"} {
			r, err := New(settings)
			if err != nil {
				t.Fatal(err)
			}
			if e := refusal(t, r, Query{Image: host + "/app"}); e.Kind != Forbidden || !strings.Contains(e.Error(), "private network") {
				t.Errorf("%s: %v", host, e)
			}
		}
	}
}

func TestB11WhatCountsAsListed(t *testing.T) {
	for name, s := range map[string]Settings{
		"registry.private":   {Private: []string{"reg.corp.example"}},
		"registry.allowed":   {Allowed: []string{"*.corp.example"}},
		"registry.plainHTTP": {PlainHTTP: []string{"reg.corp.example"}},
		"a mirrored host":    {Mirrors: map[string][]string{"reg.corp.example": {"mirror.example"}}},
		"a mirror":           {Mirrors: map[string][]string{"docker.io": {"reg.corp.example/hub"}}},
	} {
		if !listed(s.near(), "reg.corp.example:443") {
			t.Errorf("%s does not list it: %q", name, s.near())
		}
		if listed(s.near(), "reg.corp.example:5000") || listed(s.near(), "other.example:443") {
			t.Errorf("%s lists more: %q", name, s.near())
		}
	}
	plain := Settings{PlainHTTP: []string{"reg.corp.example", "[fd00::1]", "other.example:5000"}}.near()
	for _, address := range []string{"reg.corp.example:80", "[fd00::1]:80", "other.example:5000"} {
		if !listed(plain, address) {
			t.Errorf("registry.plainHTTP does not list %s, which is dialed for it: %q", address, plain)
		}
	}
	if listed(plain, "other.example:80") {
		t.Errorf("registry.plainHTTP lists a port that it does not name: %q", plain)
	}
	for text, want := range map[string]bool{
		"10.0.0.1": true, "172.31.0.1": true, "192.168.1.1": true, "100.64.0.1": true, "fd00::1": true, "64:ff9b::a00:1": true, "::ffff:10.0.0.1": true,
		"172.32.0.1": false, "100.128.0.1": false, "203.0.113.1": false, "2001:db8::1": false,
	} {
		if have := isPrivate(netip.MustParseAddr(text)); have != want {
			t.Errorf("%s is private: %v", text, have)
		}
	}
}

// TestB11FailuresToReachARegistryReadAlike compares a host that does not answer,
// a closed port, and an open port without TLS.
func TestB11FailuresToReachARegistryReadAlike(t *testing.T) {
	seen := map[string]Kind{}
	for kind, cause := range map[Kind]string{Timeout: "the request timed out", Unreachable: "connection refused", TLS: "the registry does not support TLS"} {
		e := &Error{Kind: kind, Image: "a", Registry: "r", Cause: cause}
		seen[e.Error()] = kind
		if strings.Contains(e.Error(), cause) {
			t.Errorf("%s is told: %v", kind, e)
		}
	}
	if len(seen) != 1 {
		t.Errorf("they differ: %v", seen)
	}
}
