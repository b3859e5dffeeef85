package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// How often the certificate's secret is read: until the certificate is there,
// and then to notice that it was renewed.
const (
	firstLook = time.Second
	laterLook = 10 * time.Second
)

// Members of the secret, as cert-controller writes it.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// certificate is the server's certificate, as one replica writes it into a
// secret and all of them read it from there. The leader's rotator makes and
// renews it and puts its authority into the webhook configurations.
type certificate struct {
	reader        client.Reader // past the cache, so that no secret but ours is read
	secret        client.ObjectKey
	configuration string
	workloads     string // name of the configuration for workloads; "": none
	mark          string // file that tells the rotator that the certificate has come
	log           *slog.Logger

	current atomic.Pointer[tls.Certificate]
	trusted atomic.Bool // the API server was told the authority
}

// addCertificate has the manager make, renew and load the certificate.
func addCertificate(mgr manager.Manager, o options, log *slog.Logger) (*certificate, error) {
	dir, err := os.MkdirTemp("", "koordinator-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the certificate: %w", err)
	}
	secret := types.NamespacedName{Namespace: o.Namespace, Name: o.Secret}
	told := []rotator.WebhookInfo{{Name: o.Configuration, Type: rotator.Mutating}}
	if o.Workloads != "" {
		told = append(told, rotator.WebhookInfo{Name: o.Workloads, Type: rotator.Validating})
	}
	err = rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:             secret,
		CertDir:               dir,
		CAName:                "koordinator-ca",
		CAOrganization:        "koordinator",
		DNSName:               o.Service + "." + o.Namespace + ".svc",
		IsReady:               make(chan struct{}),
		RequireLeaderElection: true,
		Webhooks:              told,
	})
	if err != nil {
		return nil, fmt.Errorf("set up certificate rotation: %w", err)
	}
	c := &certificate{
		reader: mgr.GetAPIReader(), secret: secret, configuration: o.Configuration, workloads: o.Workloads,
		mark: filepath.Join(dir, certFile), log: log,
	}
	return c, mgr.Add(c)
}

// NeedLeaderElection has every replica load the certificate.
func (c *certificate) NeedLeaderElection() bool { return false }

// Start loads the certificate, and again when it was renewed, until the
// context ends.
func (c *certificate) Start(ctx context.Context) error {
	for {
		if err := c.load(ctx); err != nil {
			c.log.Warn("no certificate yet", "reason", err)
		}
		wait := laterLook
		if c.ready(nil) != nil {
			wait = firstLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// load reads the secret, and the configuration until it has the authority.
func (c *certificate) load(ctx context.Context) error {
	var secret corev1.Secret
	if err := c.reader.Get(ctx, c.secret, &secret); err != nil {
		return fmt.Errorf("read secret %s: %w", c.secret, err)
	}
	if len(secret.Data[certFile]) == 0 {
		return fmt.Errorf("secret %s is still empty", c.secret)
	}
	pair, err := tls.X509KeyPair(secret.Data[certFile], secret.Data[keyFile])
	if err != nil {
		return fmt.Errorf("read the certificate of secret %s: %w", c.secret, err)
	}
	before := c.current.Swap(&pair)
	if before == nil || !bytes.Equal(before.Certificate[0], pair.Certificate[0]) {
		c.log.Info("certificate loaded", "notAfter", pair.Leaf.NotAfter)
	}
	if err := os.WriteFile(c.mark, secret.Data[certFile], 0o600); err != nil {
		return fmt.Errorf("mark the certificate as there: %w", err)
	}
	if c.trusted.Load() {
		return nil
	}
	return c.checkTrust(ctx, secret.Data[caFile])
}

// checkTrust looks whether the API server was told our authority.
func (c *certificate) checkTrust(ctx context.Context, ca []byte) error {
	var configuration admissionregistrationv1.MutatingWebhookConfiguration
	if err := c.reader.Get(ctx, client.ObjectKey{Name: c.configuration}, &configuration); err != nil {
		return fmt.Errorf("read the webhook configuration %s: %w", c.configuration, err)
	}
	for _, w := range configuration.Webhooks {
		if !bytes.Equal(w.ClientConfig.CABundle, ca) {
			return fmt.Errorf("webhook configuration %s has no certificate authority of ours yet", c.configuration)
		}
	}
	if err := c.checkWorkloadTrust(ctx, ca); err != nil {
		return err
	}
	c.trusted.Store(true)
	return nil
}

// checkWorkloadTrust looks whether it was told so for workloads, too. Where
// somebody has removed that configuration, pods are served all the same.
func (c *certificate) checkWorkloadTrust(ctx context.Context, ca []byte) error {
	if c.workloads == "" {
		return nil
	}
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	err := c.reader.Get(ctx, client.ObjectKey{Name: c.workloads}, &configuration)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the webhook configuration for workloads %s: %w", c.workloads, err)
	}
	for _, w := range configuration.Webhooks {
		if !bytes.Equal(w.ClientConfig.CABundle, ca) {
			return fmt.Errorf("webhook configuration for workloads %s has no certificate authority of ours yet", c.workloads)
		}
	}
	return nil
}

// get is tls.Config's GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if pair := c.current.Load(); pair != nil {
		return pair, nil
	}
	return nil, errors.New("no certificate yet")
}

// ready is the readiness check: the certificate is loaded, and the API server
// trusts it.
func (c *certificate) ready(*http.Request) error {
	if c.current.Load() == nil {
		return errors.New("no certificate yet")
	}
	if !c.trusted.Load() {
		return errors.New("the webhook configuration has no certificate authority of ours yet")
	}
	return nil
}
