package image

import (
	"fmt"
	"strings"
)

// Kind says why a lookup failed, for those that choose what to do about it,
// and as a label of metrics.
type Kind string

// What may go wrong.
const (
	BadReference Kind = "bad_reference" // the pod's image is not a name of an image
	Forbidden    Kind = "forbidden"     // the operator's settings keep us from asking
	Unauthorized Kind = "unauthorized"  // no credentials that may read it
	NotFound     Kind = "not_found"
	RateLimited  Kind = "rate_limited"
	Timeout      Kind = "timeout"
	Unreachable  Kind = "unreachable" // no such host, no connection, or an error of the registry's own
	TLS          Kind = "tls"         // no TLS there, or a certificate that is not trusted
	Invalid      Kind = "invalid"     // the answer is not what was asked for: wrong digest, too large, not readable
	Unsupported  Kind = "unsupported" // not an image that a Linux node runs
)

// Error says in one sentence which image could not be looked up, where, why,
// and what can be done. Nothing of a registry's answer but its status is in
// it: whoever writes a pod chooses which server is asked, and reads this.
type Error struct {
	Kind     Kind
	Image    string   // as in the pod
	Registry string   // the host asked, of a mirror where that was the last; "" when the image names none
	Cause    string   // "401 Unauthorized"
	Tried    []string // credentials, in order, "none" for the attempt without
	err      error    // with details, for logs only
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	image := e.Image
	if len(image) > longestName {
		image = strings.ToValidUTF8(image[:longestName], "") + "…"
	}
	fmt.Fprintf(&b, "image %q", image)
	if e.Registry != "" {
		fmt.Fprintf(&b, " at registry %s", e.Registry)
	}
	fmt.Fprintf(&b, ": %s", e.told())
	access := e.Kind == Unauthorized || e.Kind == NotFound || e.Kind == RateLimited
	if access && len(e.Tried) > 0 {
		fmt.Fprintf(&b, " (credentials tried: %s)", strings.Join(e.Tried, ", "))
	}
	fmt.Fprintf(&b, ": %s", e.Kind.remedy())
	return b.String()
}

// told is the cause as whoever writes a pod reads it. All failures to reach a
// registry read alike: otherwise they would tell which hosts and ports of the
// webhook's network are open.
func (e *Error) told() string {
	switch e.Kind {
	case Timeout, Unreachable, TLS:
		return "the registry cannot be reached"
	}
	return e.Cause
}

// Unwrap is the underlying error. It may quote a registry's answer: log it,
// do not show it to those who create pods.
func (e *Error) Unwrap() error { return e.err }

// remedy is what whoever reads the error can do.
func (k Kind) remedy() string {
	switch k {
	case BadReference:
		return "correct the image"
	case Forbidden:
		return "use another registry, or let the operator of koordinator allow it"
	case Unauthorized:
		return "name a pull secret that may read it in imagePullSecrets of the pod or of its service account, or correct the name"
	case NotFound:
		return "correct the name, tag or digest, or push the image"
	case RateLimited:
		return "name a pull secret of an account with a higher limit, or let the operator of koordinator set a mirror"
	case Timeout, Unreachable, TLS:
		return "correct its name or try again; the log of the koordinator webhook has the cause, for its operator"
	case Invalid:
		return "push the image again, or ask who runs the registry"
	default: // Unsupported
		return "use an image in the OCI or Docker v2 format with a Linux platform"
	}
}
