package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The schemes of endpoints.
const (
	SchemeTCP   = "tcp"   // a connection is accepted
	SchemeHTTP  = "http"  // the answer to GET has a status from 200 to 399
	SchemeHTTPS = "https" // likewise; the certificate is not verified
	SchemeGRPC  = "grpc"  // the health service answers SERVING
	SchemeFile  = "file"  // the file exists in the container and is not empty
	SchemeDNS   = "dns"   // the name resolves
)

// schemesText is the list of the schemes in messages.
const schemesText = "tcp://, http://, https://, grpc://, file:// or dns://"

// maxEndpoint is the maximum length of an endpoint's URL, in bytes. The URL
// appears in records, logs and events.
const maxEndpoint = 512

// Endpoint is a start dependency on something other than a container: a server,
// a file or a DNS name. It holds as soon as the endpoint has answered once.
type Endpoint struct {
	URL      string // as CheckEndpoint accepts it
	Optional bool   // dropped when the start timeout passes
}

// String returns the endpoint as a user writes it: "tcp://db:5432?".
func (e Endpoint) String() string {
	if e.Optional {
		return e.URL + "?"
	}
	return e.URL
}

// IsEndpoint reports whether a start dependency has the form of an endpoint. No
// container name has this form.
func IsEndpoint(text string) bool { return strings.Contains(text, "://") }

// Scheme returns the scheme of an endpoint's URL, or "" if it has none.
func Scheme(address string) string {
	scheme, _, found := strings.Cut(address, "://")
	if !found {
		return ""
	}
	return scheme
}

// CheckEndpoint returns the problem with an endpoint's URL and its remedy. The
// error never quotes a user name or a password.
func CheckEndpoint(address string) error {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		rest = scheme
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	switch {
	case strings.Contains(authority, "@"):
		return wrong(InvalidEndpoint, "", "Remove everything up to the @", "the %s contains a user name or a password, which would appear in logs and events", strings.TrimSpace(Scheme(address)+" endpoint"))
	case len(address) > maxEndpoint:
		return wrong(InvalidEndpoint, "", "Use a shorter URL", "endpoint %.40q… has %d bytes, and the limit is %d", address, len(address), maxEndpoint)
	case strings.Contains(address, " "):
		return wrong(InvalidEndpoint, address, "Write a space as %20, and a comma between two dependencies", "endpoint %q contains a space", address)
	case strings.Contains(address, "$("):
		return wrong(InvalidEndpoint, address, "Write the value", "endpoint %q: variables are not expanded in endpoints", address)
	}
	if !found {
		return wrong(InvalidEndpoint, address, "Use "+schemesText, "endpoint %q has no scheme", address)
	}
	check, known := endpointChecks[scheme]
	if !known {
		return wrong(InvalidEndpoint, address, "Use "+schemesText, "endpoint %q: %q is not a known scheme", address, scheme)
	}
	u, err := url.Parse(address)
	if err != nil {
		return wrong(InvalidEndpoint, address, "Correct the URL", "endpoint %q is not a valid URL: %v", address, errors.Unwrap(err))
	}
	if strings.Contains(address, "#") {
		return wrong(InvalidEndpoint, address, "Remove it", "endpoint %q: a fragment (#) is never sent", address)
	}
	if err := check(u); err != nil {
		return within(fmt.Sprintf("endpoint %q", address), err)
	}
	return nil
}

// endpointChecks contains the rules of each scheme.
var endpointChecks = map[string]func(*url.URL) error{
	SchemeTCP: func(u *url.URL) error {
		if u.Path != "" || u.RawQuery != "" || u.ForceQuery {
			return wrong(InvalidEndpoint, "", "Write tcp://HOST:PORT", "only a host and a port can follow tcp://")
		}
		return checkServer(u, true)
	},
	SchemeHTTP:  func(u *url.URL) error { return checkServer(u, false) },
	SchemeHTTPS: func(u *url.URL) error { return checkServer(u, false) },
	SchemeGRPC: func(u *url.URL) error {
		if strings.Contains(strings.TrimPrefix(u.Path, "/"), "/") || u.RawQuery != "" || u.ForceQuery {
			return wrong(InvalidEndpoint, "", "Write grpc://HOST:PORT or grpc://HOST:PORT/SERVICE", "a gRPC endpoint names at most one service")
		}
		return checkServer(u, true)
	},
	SchemeFile: checkFile,
	SchemeDNS: func(u *url.URL) error {
		if u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Port() != "" {
			return wrong(InvalidEndpoint, "", "Write dns://NAME", "only a name can follow dns://")
		}
		if _, err := netip.ParseAddr(strings.Trim(u.Host, "[]")); err == nil {
			return wrong(InvalidEndpoint, "", "Write a name, or use tcp://HOST:PORT", "an IP address is not resolved")
		}
		return checkHost(u)
	},
}

// checkServer checks the host and the port of a URL.
func checkServer(u *url.URL, needsPort bool) error {
	if err := checkHost(u); err != nil {
		return err
	}
	port := u.Port()
	switch {
	case port == "" && needsPort:
		return wrong(InvalidEndpoint, "", fmt.Sprintf("Write %s://%s:PORT", u.Scheme, strings.TrimSuffix(u.Host, ":")), "the port is missing")
	case port == "" && !strings.HasSuffix(u.Host, ":"):
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return wrong(InvalidEndpoint, "", "Write a number from 1 to 65535", "%q is not a port", port)
	}
	return nil
}

// checkHost checks that a URL names a host.
func checkHost(u *url.URL) error {
	host := u.Hostname()
	if host == "" {
		return wrong(InvalidEndpoint, "", fmt.Sprintf("Write %s://HOST…", u.Scheme), "the host is missing")
	}
	if strings.HasPrefix(u.Host, "[") { // an IPv6 address, which url.Parse has checked
		return nil
	}
	valid := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_'
	}
	if strings.ContainsFunc(host, func(r rune) bool { return !valid(r) }) {
		return wrong(InvalidEndpoint, "", "Use letters, digits, dots and hyphens", "%q is not a host name", host)
	}
	return nil
}

// checkFile checks the URL of a file.
func checkFile(u *url.URL) error {
	switch {
	case u.Host != "":
		return wrong(InvalidEndpoint, "", fmt.Sprintf("Write three slashes, for example file:///%s%s", u.Host, u.Path), "the path is not absolute")
	case u.RawQuery != "" || u.ForceQuery:
		return wrong(InvalidEndpoint, "", "Write ? in a file name as %3F", "a file has no query")
	case !strings.HasPrefix(u.Path, "/") || strings.HasSuffix(u.Path, "/"):
		return wrong(InvalidEndpoint, "", "Write file:///PATH", "the path does not name a file")
	}
	return nil
}

// splitEndpoints separates start dependencies on containers from endpoints,
// which have the URL in place of a container name.
func splitEndpoints(all []Dependency) (deps []Dependency, endpoints []Endpoint) {
	for _, d := range all {
		if IsEndpoint(d.Container) {
			endpoints = append(endpoints, Endpoint{d.Container, d.Optional})
		} else {
			deps = append(deps, d)
		}
	}
	return deps, endpoints
}

// parseStartDeps parses startDeps, including endpoints.
func parseStartDeps(s *Spec, v json.RawMessage) error {
	all, err := parseDeps(v, startDep)
	s.StartDeps, s.StartEndpoints = splitEndpoints(all)
	return err
}

// endpoint parses an endpoint, if this kind of dependency may be one.
func (k kind) endpoint(text string) (Dependency, error) {
	address, optional := strings.CutSuffix(text, "?")
	d := Dependency{Container: address, Condition: Ready, Optional: optional}
	if !k.optional {
		return d, wrong(InvalidEndpoint, "", "Name a container, or use exit-http to send a request when a container exits", "an endpoint cannot be a stop dependency, because only the exit of a container stops a command")
	}
	return d, CheckEndpoint(address)
}

// checkEndpoints finds endpoints that are listed twice, and removes the
// duplicates.
func (p *parser) checkEndpoints() {
	seen := map[string]bool{}
	p.spec.StartEndpoints = slices.DeleteFunc(p.spec.StartEndpoints, func(e Endpoint) bool {
		again := seen[e.URL]
		if again {
			p.add("startDeps", NamedTwice, e.URL, "Keep one", "endpoint %q is listed twice", e.URL)
		}
		seen[e.URL] = true
		return again
	})
}

// parseReadyEndpoints parses a map from containers to endpoints.
func parseReadyEndpoints(v json.RawMessage, to *map[string]string) error {
	if err := strict(v, to); err != nil {
		return err
	}
	var errs Problems
	for _, name := range slices.Sorted(maps.Keys(*to)) {
		if err := CheckEndpoint((*to)[name]); err != nil {
			errs = append(errs, problemsOf(within(name, err))...)
		}
	}
	return join(errs)
}

// Waits reports whether the command has anything to wait for before it starts,
// including the reading of env files.
func (s Spec) Waits() bool { return len(s.StartDeps)+len(s.StartEndpoints)+len(s.EnvFiles) > 0 }
