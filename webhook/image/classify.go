package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// problem is a failure that this package detects itself, with a text for users.
type problem struct {
	kind Kind
	text string
}

// Error implements error.
func (p *problem) Error() string { return p.text }

// problemf returns a problem.
func problemf(kind Kind, format string, values ...any) error {
	return &problem{kind, fmt.Sprintf(format, values...)}
}

// classify returns the kind of a request's error, and its cause in words that do
// not quote the answer.
func classify(err error) (Kind, string) {
	if errors.Is(err, context.Canceled) {
		return Timeout, "the request was canceled"
	}
	if timedOut(err) {
		return Timeout, "the request timed out"
	}
	if text, ok := untrusted(err); ok {
		return TLS, text
	}
	if status, ok := errors.AsType[*transport.Error](err); ok {
		return classifyStatus(status.StatusCode)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unreachable, "DNS does not resolve the host"
	}
	var op *net.OpError
	var ours *problem
	if errors.As(err, &op) && !errors.As(op.Err, &ours) {
		return Unreachable, fmt.Sprintf("%s %s: %v", op.Op, op.Net, op.Err)
	}
	if errors.As(err, &ours) {
		return ours.kind, ours.text
	}
	return Invalid, "the response is incomplete, is not from a registry, or has another digest"
}

// classifyStatus returns the kind of an HTTP status other than 200.
func classifyStatus(code int) (Kind, string) {
	text := fmt.Sprintf("%d %s", code, http.StatusText(code))
	switch {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return Unauthorized, text
	case code == http.StatusNotFound:
		return NotFound, text
	case code == http.StatusTooManyRequests:
		return RateLimited, text
	case code >= http.StatusInternalServerError:
		return Unreachable, text
	default:
		return Invalid, text
	}
}

// timedOut reports whether an error, or an error that it wraps, is a timeout.
func timedOut(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &slow) && slow.Timeout()
}

// untrusted returns what is wrong with a TLS connection, and whether anything is.
func untrusted(err error) (string, bool) {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "the registry does not support TLS", true
	case errors.As(err, &unknown):
		return "the registry's certificate is signed by an unknown authority", true
	case errors.As(err, &name):
		return "the registry's certificate is for another host", true
	case errors.As(err, &certificate):
		return "the registry's certificate is not valid", true
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // the operations that crypto/tls uses
		return op.Err.Error(), true
	}
	return "", false
}
