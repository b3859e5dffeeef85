package image

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// contextOf returns a context with a short deadline, which is still far longer
// than the operation takes.
func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), 2*time.Second)
}

func TestSentences(t *testing.T) {
	for _, tt := range []struct {
		err  Error
		want string
	}{
		{
			Error{Kind: BadReference, Image: "A:b:c", Cause: "the name does not have the form registry/name:tag or registry/name@digest"},
			`image "A:b:c": the name does not have the form registry/name:tag or registry/name@digest. Correct the image`,
		},
		{
			Error{Kind: Unauthorized, Image: "reg.example/a", Registry: "reg.example", Cause: "401 Unauthorized", Tried: []string{`secret "shop/pull"`, "none"}},
			`image "reg.example/a" at registry reg.example: 401 Unauthorized (credentials tried: secret "shop/pull", none). Add a pull secret with access to imagePullSecrets of the pod or of its service account, or correct the name`,
		},
		{
			Error{Kind: NotFound, Image: "a", Registry: "docker.io", Cause: "404 Not Found"},
			`image "a" at registry docker.io: 404 Not Found. Correct the name, tag or digest, or push the image`,
		},
		{
			Error{Kind: Timeout, Image: "a", Registry: "docker.io", Cause: "the request timed out", Tried: []string{"none"}},
			`image "a" at registry docker.io: the registry cannot be reached (the log of the koordinator webhook has the cause). Correct the name of the registry or try again`,
		},
	} {
		if have := tt.err.Error(); have != tt.want {
			t.Errorf("want %s\nhave %s", tt.want, have)
		}
	}
}

func TestEveryKindHasARemedy(t *testing.T) {
	seen := map[string]Kind{}
	for _, k := range []Kind{BadReference, Forbidden, Unauthorized, NotFound, RateLimited, Unreachable, Invalid, Unsupported} {
		if other, ok := seen[k.remedy()]; ok {
			t.Errorf("%s has the remedy of %s", k, other)
		}
		seen[k.remedy()] = k
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		kind Kind
		text string
	}{
		{"a deadline", context.DeadlineExceeded, Timeout, "the request timed out"},
		{"a deadline of a connection", &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, Timeout, "the request timed out"},
		{"given up", context.Canceled, Timeout, "the request was canceled"},
		{"a slow DNS", &net.DNSError{IsTimeout: true}, Timeout, "the request timed out"},
		{"an unknown name", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, Unreachable, "DNS does not resolve the host"},
		{"no TLS", tls.RecordHeaderError{Msg: "hunter2"}, TLS, "the registry does not support TLS"},
		{"an alert", &net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, TLS, "tls: handshake failure"},
		{"an address that is refused", &net.OpError{Op: "dial", Net: "tcp", Err: errAddress}, Forbidden, errAddress.Error()},
		{"a connection that is refused", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errors.New("connection refused"))}, Unreachable, "dial tcp: connect: connection refused"},
		{"401", &transport.Error{StatusCode: 401}, Unauthorized, "401 Unauthorized"},
		{"403", &transport.Error{StatusCode: 403}, Unauthorized, "403 Forbidden"},
		{"404", &transport.Error{StatusCode: 404}, NotFound, "404 Not Found"},
		{"429", &transport.Error{StatusCode: 429}, RateLimited, "429 Too Many Requests"},
		{"500", &transport.Error{StatusCode: 500}, Unreachable, "500 Internal Server Error"},
		{"400", &transport.Error{StatusCode: 400, Errors: []transport.Diagnostic{{Message: "hunter2"}}}, Invalid, "400 Bad Request"},
		{"anything else", errors.New("hunter2"), Invalid, "the response is incomplete, is not from a registry, or has another digest"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if kind, text := classify(fmt.Errorf("within: %w", tt.err)); kind != tt.kind || text != tt.text {
				t.Errorf("want %s %q, have %s %q", tt.kind, tt.text, kind, text)
			}
		})
	}
}

func TestAnErrorKeepsItsDetailsForLogs(t *testing.T) {
	cause := errors.New("details")
	if err := error(failure("reg.example", cause)); !errors.Is(err, cause) {
		t.Errorf("have %v", err)
	}
}
