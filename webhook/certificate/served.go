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

// firstLook is the interval between checks while no certificate can be served, or
// while a new one is about to be served.
const firstLook = time.Second

// settle is the delay between the moment when the webhook configurations trust a
// new certificate and the moment when it is served, so that every API server has
// seen the configurations. The previous certificate stays trusted for as long.
const settle = 5 * time.Second

// Served is the certificate that the server presents. Every replica reads it
// repeatedly from its source, and switches to a new one once the API server
// trusts it.
type Served struct {
	read    func(context.Context) (tls.Certificate, error)
	every   time.Duration // between two checks, once it is served
	api     configurations
	service string // DNS name by which the API server calls the webhook
	log     *slog.Logger

	current atomic.Pointer[tls.Certificate]
	reason  atomic.Pointer[error] // why there is no certificate yet
	renewed time.Time             // when the next certificate was first seen to be trusted; zero: there is none
}

// NewServed returns the certificate of mounted files or of a secret. It is empty
// until Start has loaded it. reader must not be cached, so that no other secret
// is read.
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

// NeedLeaderElection returns false: every replica loads the certificate.
func (c *Served) NeedLeaderElection() bool { return false }

// Start loads the certificate, and loads it again when it is renewed, until the
// context ends. The manager calls Start after its caches have synced.
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

// load reads the certificate and serves it from now on if the API server trusts
// it. A renewed certificate waits for settle, unless the previous one is no
// longer trusted.
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

// Get implements GetCertificate of tls.Config.
func (c *Served) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := c.current.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("no certificate yet")
}

// Ready implements the readiness check: it succeeds once the server has a
// certificate that the API server trusts. The manager starts Served after its
// caches have synced, so they are ready, too.
func (c *Served) Ready(*http.Request) error {
	if c.current.Load() != nil {
		return nil
	}
	if reason := c.reason.Load(); reason != nil && *reason != nil {
		return fmt.Errorf("no certificate yet: %w", *reason)
	}
	return errors.New("no certificate yet")
}
