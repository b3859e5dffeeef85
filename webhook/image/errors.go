package image

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is the reason why a lookup failed, for callers that handle reasons
// differently and for metrics labels.
type Kind string

// Reasons for a failed lookup.
const (
	BadReference Kind = "bad_reference" // the pod's image is not a valid image name
	Forbidden    Kind = "forbidden"     // the operator's settings prevent the request
	Unauthorized Kind = "unauthorized"  // no credentials with access to the image
	NotFound     Kind = "not_found"
	RateLimited  Kind = "rate_limited"
	Timeout      Kind = "timeout"
	Unreachable  Kind = "unreachable" // unknown host, no connection, or an internal error of the registry
	TLS          Kind = "tls"         // no TLS, or an untrusted certificate
	Invalid      Kind = "invalid"     // the answer is not the expected one: wrong digest, too large, unreadable
	Unsupported  Kind = "unsupported" // not an image that Linux nodes run
)

// Error is a failed lookup: which image, where, why, and what can be done. It
// contains nothing of a registry's answer except its status, because the author
// of a pod chooses the registry and reads this error.
type Error struct {
	Kind     Kind
	Image    string   // as in the pod
	Registry string   // the last host that was asked, which may be a mirror; "" if the image names none
	Cause    string   // "401 Unauthorized"
	Tried    []string // credentials, in order; "none" for the attempt without credentials
	err      error    // with details, for logs only
	open     bool     // show the cause of every kind
}

// Error implements error: the sentence and the remedy.
func (e *Error) Error() string { return e.Sentence() + ". " + e.Remedy() }

// Sentence returns which image could not be looked up, where and why.
func (e *Error) Sentence() string {
	var b strings.Builder
	image := e.Image
	if len(image) > longestName {
		image = strings.ToValidUTF8(image[:longestName], "") + "…"
	}
	fmt.Fprintf(&b, "image %q", image)
	if e.Registry != "" {
		fmt.Fprintf(&b, " at registry %s", e.Registry)
	}
	fmt.Fprintf(&b, ": %s", e.shown())
	access := e.Kind == Unauthorized || e.Kind == NotFound || e.Kind == RateLimited
	if access && len(e.Tried) > 0 {
		fmt.Fprintf(&b, " (credentials tried: %s)", strings.Join(e.Tried, ", "))
	}
	return b.String()
}

// shown returns the cause for the author of a pod. All failures to reach a
// registry have the same text unless the Settings are Open: otherwise they would
// reveal which hosts and ports in the webhook's network are open.
func (e *Error) shown() string {
	switch {
	case !e.open && (e.Kind == Timeout || e.Kind == Unreachable || e.Kind == TLS):
		return "the registry cannot be reached (the log of the koordinator webhook has the cause)"
	default:
		return e.Cause
	}
}

// Remedy returns what the author of the pod can do, as an imperative.
func (e *Error) Remedy() string {
	switch {
	case !errors.Is(e.err, errAddress):
		return e.Kind.remedy()
	case e.open:
		return "Use another registry, or allow this one on the command line"
	default: // an administrator cannot allow it
		return "Use another registry"
	}
}

// Unwrap returns the underlying error. It may quote a registry's answer: log it,
// but do not show it to users who create pods.
func (e *Error) Unwrap() error { return e.err }

// remedy returns what the reader of the error can do.
func (k Kind) remedy() string {
	switch k {
	case BadReference:
		return "Correct the image"
	case Forbidden:
		return "Use another registry, or have an administrator allow this one in koordinator's settings"
	case Unauthorized:
		return "Add a pull secret with access to imagePullSecrets of the pod or of its service account, or correct the name"
	case NotFound:
		return "Correct the name, tag or digest, or push the image"
	case RateLimited:
		return "Add a pull secret for an account with a higher limit, or have an administrator set a mirror in koordinator's settings"
	case Timeout, Unreachable, TLS:
		return "Correct the name of the registry or try again"
	case Invalid:
		return "Push the image again, or contact the administrator of the registry"
	default: // Unsupported
		return "Use an image in the OCI or Docker v2 format with a Linux platform"
	}
}
