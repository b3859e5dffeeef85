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

// problem is a failure that we found ourselves, with a text for users.
type problem struct {
	kind Kind
	text string
}

// Error implements error.
func (p *problem) Error() string { return p.text }

// problemf makes a problem.
func problemf(kind Kind, format string, values ...any) error {
	return &problem{kind, fmt.Sprintf(format, values...)}
}

// classify says of an error of a request what kind it is, and its cause in
// words that quote nothing of an answer.
func classify(err error) (Kind, string) {
	if errors.Is(err, context.Canceled) {
		return Timeout, "the request was given up"
	}
	if timedOut(err) {
		return Timeout, "no answer in time"
	}
	if text, ok := untrusted(err); ok {
		return TLS, text
	}
	if status, ok := errors.AsType[*transport.Error](err); ok {
		return classifyStatus(status.StatusCode)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unreachable, "the host is not known to DNS"
	}
	var op *net.OpError
	var ours *problem
	if errors.As(err, &op) && !errors.As(op.Err, &ours) {
		return Unreachable, fmt.Sprintf("%s %s: %v", op.Op, op.Net, op.Err)
	}
	if errors.As(err, &ours) {
		return ours.kind, ours.text
	}
	return Invalid, "its answer is not a registry's, is broken off, or has another digest"
}

// classifyStatus is the kind of an HTTP status other than 200.
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

// timedOut reports whether an error, or an error it holds, is that time was up.
func timedOut(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &slow) && slow.Timeout()
}

// untrusted says what is wrong with a TLS connection, and whether anything is.
func untrusted(err error) (string, bool) {
	var certificate *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "it does not speak TLS", true
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority", true
	case errors.As(err, &name):
		return "its certificate is for another host", true
	case errors.As(err, &certificate):
		return "its certificate is not valid", true
	case errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error"): // as crypto/tls has it
		return op.Err.Error(), true
	}
	return "", false
}
