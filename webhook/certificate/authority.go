package certificate

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// overlap is how long an authority stays trusted after its replacement: long
// enough for every replica to load the new certificate.
const overlap = 10 * time.Minute

// authorityLook is how often the authority is compared with those that the API
// server trusts.
const authorityLook = 5 * time.Second

// Authority writes the trusted authorities into the webhook configurations if the
// webhook makes its own certificate: the secret's authority and, for a while, the
// previous one. Replicas serve a new certificate only after that, so a new
// authority causes no failed calls. Every replica does this, not only the leader,
// because during an upgrade the leader may run a release that knows fewer
// configurations.
type Authority struct {
	reader client.Reader // not cached
	writer client.Writer
	secret client.ObjectKey
	api    configurations
	log    *slog.Logger

	latest []byte    // authority of the secret, PEM
	since  time.Time // when it was first seen
}

// rotators counts the rotators of the process: the name of a rotator's controller
// must be unique in the process.
var rotators atomic.Int64

// AddRotator makes the manager create the certificate and renew it in its secret.
func AddRotator(mgr manager.Manager, s Settings) error {
	dir, err := emptyMount()
	if err != nil {
		return err
	}
	err = rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:      s.Secret,
		CertDir:        dir,
		CAName:         "koordinator-ca",
		CAOrganization: "koordinator",
		DNSName:        s.DNSName,
		IsReady:        make(chan struct{}),
		ControllerName: fmt.Sprintf("cert-rotator-%d", rotators.Add(1)),
	})
	if err != nil {
		return fmt.Errorf("set up certificate rotation: %w", err)
	}
	return nil
}

// emptyMount returns a directory with an empty certificate. The rotator waits for
// the file that a mounted secret would contain, but this webhook reads the secret
// from the API server.
func emptyMount() (string, error) {
	dir := filepath.Join(os.TempDir(), "koordinator-mounted")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, certFile), nil, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("make a directory for the certificate: %w", err)
	}
	return dir, nil
}

// NewAuthority returns the Authority of a replica. reader must not be cached.
func NewAuthority(reader client.Reader, writer client.Writer, s Settings, log *slog.Logger) *Authority {
	return &Authority{reader: reader, writer: writer, secret: s.Secret, api: configurationsOf(reader, s), log: log}
}

// NeedLeaderElection returns false: every replica writes the authorities.
func (a *Authority) NeedLeaderElection() bool { return false }

// Start keeps the configurations up to date until the context ends.
func (a *Authority) Start(ctx context.Context) error {
	for {
		wait := authorityLook
		if err := a.sync(ctx, time.Now()); err != nil && ctx.Err() == nil {
			a.log.Warn("certificate authority not written", "reason", err)
			wait = firstLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// sync writes the authorities that the API server should trust but does not trust
// yet.
func (a *Authority) sync(ctx context.Context, now time.Time) error {
	var secret corev1.Secret
	if err := a.reader.Get(ctx, a.secret, &secret); err != nil {
		return fmt.Errorf("read secret %s: %w", a.secret, err)
	}
	latest := secret.Data[caFile]
	if len(latest) == 0 {
		return fmt.Errorf("secret %s is still empty", a.secret)
	}
	if !bytes.Equal(latest, a.latest) {
		a.latest, a.since = latest, now
	}
	objects, err := a.api.all(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, object := range objects {
		if err := a.write(ctx, object, now.Sub(a.since) < overlap); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// write makes one configuration trust the latest authority. With keep, the
// authorities that it already trusts stay.
func (a *Authority) write(ctx context.Context, configuration client.Object, keep bool) error {
	changed := false
	for _, bundle := range bundles(configuration) {
		want := a.latest
		if keep {
			want = together(a.latest, *bundle)
		}
		if !bytes.Equal(*bundle, want) {
			*bundle, changed = want, true
		}
	}
	if !changed {
		return nil
	}
	if err := a.writer.Update(ctx, configuration); err != nil {
		return fmt.Errorf("write the certificate authority into the webhook configuration %s: %w", configuration.GetName(), err)
	}
	a.log.Info("certificate authority written", "configuration", configuration.GetName(), "keepsEarlier", keep)
	return nil
}

// together returns a bundle with the latest authority and the others of a bundle.
func together(latest, bundle []byte) []byte {
	var all bytes.Buffer
	all.Write(latest)
	first, _ := pem.Decode(latest)
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if first == nil || !bytes.Equal(block.Bytes, first.Bytes) {
			all.Write(pem.EncodeToMemory(block))
		}
	}
	return all.Bytes()
}
