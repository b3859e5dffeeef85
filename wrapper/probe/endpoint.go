package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// maxReason is the maximum length of a reason, in bytes. The reason appears in
// the output of the gate, in the record and in the log.
const maxReason = 100

// Ask checks an endpoint once; ctx carries the timeout. Nil means that it
// answered. The error is only the reason, without the endpoint: "connection
// refused".
func Ask(ctx context.Context, address string, run Runner) error {
	u, err := url.Parse(address)
	if err != nil {
		return err // cannot happen: spec.CheckEndpoint has parsed it
	}
	switch u.Scheme {
	case spec.SchemeTCP:
		err = askTCP(ctx, u)
	case spec.SchemeHTTP, spec.SchemeHTTPS:
		err = askHTTP(ctx, u, run.Network)
	case spec.SchemeGRPC:
		err = askGRPC(ctx, u)
	case spec.SchemeFile:
		err = askFile(u.Path)
	case spec.SchemeDNS:
		_, err = net.DefaultResolver.LookupHost(ctx, u.Hostname())
	default:
		err = fmt.Errorf("unknown scheme %q", u.Scheme)
	}
	return reason(ctx, err)
}

func askTCP(ctx context.Context, u *url.URL) error {
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return err
	}
	return checkTCP(ctx, spec.TCPSocket{Host: u.Hostname(), Port: port}, "")
}

// askHTTP follows redirects to the same host. It does not verify certificates.
func askHTTP(ctx context.Context, u *url.URL, network spec.Network) error {
	req, err := newRequest("GET", u.String())
	if err != nil {
		return err
	}
	req.Header["User-Agent"] = []string{sendAgent}
	status, err := answer(ctx, req, nil, network)
	if err == nil && (status < 200 || status > 399) {
		err = Refusal{status}
	}
	return err
}

func askGRPC(ctx context.Context, u *url.URL) error {
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return err
	}
	return checkGRPC(ctx, spec.GRPC{Port: port, Service: strings.TrimPrefix(u.Path, "/")}, u.Hostname())
}

// askFile succeeds if the file exists and is not empty.
func askFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && isLink(path):
		return errors.New("a symbolic link to nothing")
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("is a directory")
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file")
	case info.Size() == 0:
		return errors.New("is empty")
	}
	return nil
}

// isLink reports whether a path is a symbolic link, regardless of its target.
func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// reason returns the cause in an error, without addresses and ports that change
// with each try.
func reason(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dnsReason(dns)
	}
	if r, ok := errors.AsType[Refusal](err); ok {
		return r
	}
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("no answer")
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number
	}
	text := err.Error()
	if _, cause, found := strings.Cut(text, "connect: "); found { // from the network program
		text = cause
	}
	return fmt.Errorf("%.*s", maxReason, text)
}

// dnsReason returns the reason why a name did not resolve.
func dnsReason(err *net.DNSError) error {
	switch {
	case err.IsNotFound:
		return errors.New("no such host")
	case err.IsTimeout:
		return errors.New("no answer from DNS")
	default:
		return errors.New("DNS does not work")
	}
}

// The schedule of checking an endpoint. A thousand pods that wait for one
// server send it at most 200 requests per second after they have waited for a
// while.
const (
	firstLocal  = 10 * time.Millisecond  // before the first try, and the minimum pause
	firstRemote = 100 * time.Millisecond // likewise, for another host
	shareLocal  = 10                     // the time since the first try, divided by this, is the pause
	shareRemote = 1
	longestAsk  = 5 * time.Second // the maximum pause, before jitter
	askTimeout  = 5 * time.Second // limit of one try
)

// Pace is the schedule of checking one endpoint.
type Pace struct {
	Local  bool           // the endpoint is in the pod
	Random func() float64 // returns a number from 0 up to, but not including, 1
}

// Pause returns the time until the next try. elapsed is the time since the
// first try, and cost the duration of the last try. The pause is about as long
// as elapsed, or a tenth of that for an endpoint in the pod, so that waiters
// that began at the same time soon spread out.
func (p Pace) Pause(elapsed, cost time.Duration) time.Duration {
	shortest, share := firstRemote, time.Duration(shareRemote)
	if p.Local {
		shortest, share = firstLocal, shareLocal
	}
	grown := time.Duration((0.5 + p.Random()) * float64(elapsed/share))
	pause := min(max(shortest, grown, restFactor*cost), longestAsk)
	return pause + time.Duration(p.Random()*float64(pause)/2)
}

// Answered checks an endpoint until it answers, and then returns nil. If ctx
// ends first, it returns the error of ctx. It passes every failure to failed.
func (p Pace) Answered(ctx context.Context, ask func(context.Context) error, failed func(error)) error {
	began := time.Now()
	for cost := time.Duration(0); ; {
		if err := sleep(ctx, p.Pause(time.Since(began), cost)); err != nil {
			return err
		}
		tried := time.Now()
		err := askOnce(ctx, ask)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			return nil
		}
		failed(err)
		cost = time.Since(tried)
	}
}

func askOnce(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return ask(ctx)
}

// IsLocal reports whether an endpoint is in the pod: a file, or an address of
// the loopback interface.
func IsLocal(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return u.Scheme == spec.SchemeFile || u.Scheme != spec.SchemeDNS && host == "localhost"
}
