package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// firstLook is how often the certificate is looked for while there is none
// that can be served, or one that is about to be.
const firstLook = time.Second

// settle is how long after the webhook configurations trust a new certificate
// it is served: every API server must have seen them by then. The one before
// is trusted as long.
const settle = 5 * time.Second

// Served is the certificate that the server presents. Every replica reads it again
// and again from where it is kept, and goes over to a new one once the API
// server trusts that.
type Served struct {
	read    func(context.Context) (tls.Certificate, error)
	every   time.Duration // between two looks, once it is served
	api     configurations
	service string // DNS name by which the API server calls
	log     *slog.Logger

	current atomic.Pointer[tls.Certificate]
	reason  atomic.Pointer[error] // why there is none yet
	renewed time.Time             // when the one to come was first seen to be trusted; zero: none to come
}

// NewServed is the certificate of mounted files or of a secret. There is none until
// Start has loaded it. reader must not be cached, so that no other secret is read.
func NewServed(reader client.Reader, s Settings, log *slog.Logger) *Served {
	c := &Served{
		read: fromSecret(reader, s.Secret), every: 5 * time.Second,
		api: configurationsOf(reader, s), service: s.DNSName, log: log,
	}
	if s.Directory != "" {
		c.read, c.every = fromFiles(s.Directory), time.Second
	}
	return c
}

// NeedLeaderElection has every replica load the certificate.
func (c *Served) NeedLeaderElection() bool { return false }

// Start loads the certificate, and again when it was renewed, until the
// context ends. The manager starts it when its caches are there.
func (c *Served) Start(ctx context.Context) error {
	for {
		err := c.load(ctx, time.Now())
		c.reason.Store(&err)
		if err != nil {
			c.log.Warn("certificate not loaded", "reason", err)
		}
		wait := c.every
		if c.current.Load() == nil || err != nil || !c.renewed.IsZero() {
			wait = firstLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// load reads the certificate and serves it from now on if the API server
// trusts it. A renewed one has to wait for settle, unless the one before is
// not trusted any more.
func (c *Served) load(ctx context.Context, now time.Time) error {
	pair, err := c.read(ctx)
	if err != nil {
		return err
	}
	before := c.current.Load()
	if before != nil && slices.EqualFunc(before.Certificate, pair.Certificate, bytes.Equal) {
		c.renewed = time.Time{}
		return nil
	}
	if err := c.api.trust(ctx, &pair, c.service); err != nil {
		c.renewed = time.Time{}
		return err
	}
	if before != nil && c.api.trust(ctx, before, c.service) == nil {
		if c.renewed.IsZero() {
			c.renewed = now
		}
		if now.Sub(c.renewed) < settle {
			return nil
		}
	}
	c.renewed = time.Time{}
	c.current.Store(&pair)
	c.log.Info("certificate loaded", "notBefore", pair.Leaf.NotBefore, "notAfter", pair.Leaf.NotAfter,
		"fingerprint", fingerprint(pair.Leaf))
	return nil
}

// Get is tls.Config's GetCertificate.
func (c *Served) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := c.current.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("no certificate yet")
}

// Ready is the readiness check: a certificate is served that the API server
// trusts. The manager starts the certificate after its caches, so they are ready, too.
func (c *Served) Ready(*http.Request) error {
	if c.current.Load() != nil {
		return nil
	}
	if reason := c.reason.Load(); reason != nil && *reason != nil {
		return fmt.Errorf("no certificate yet: %w", *reason)
	}
	return errors.New("no certificate yet")
}
