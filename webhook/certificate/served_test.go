package certificate

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// signer is an authority as the rotator creates it.
type signer struct {
	*rotator.KeyPairArtifacts

	rotator *rotator.CertRotator
}

func newSigner(t *testing.T) signer {
	t.Helper()
	r := &rotator.CertRotator{CAName: "ca", CAOrganization: "koordinator", DNSName: "webhook.system.svc"}
	ca, err := r.CreateCACert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return signer{ca, r}
}

// issue returns the content of the secret after a renewal.
func (s signer) issue(t *testing.T) map[string][]byte {
	t.Helper()
	r := *s.rotator
	r.ExtKeyUsages = &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	cert, key, err := r.CreateCertPEM(s.KeyPairArtifacts, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{caFile: s.CertPEM, certFile: cert, keyFile: key}
}

// installation is a fake API server with a secret and both configurations, and
// the settings of the replicas.
type installation struct {
	client.Client

	t        *testing.T
	settings Settings
	now      time.Time
}

func newInstallation(t *testing.T) *installation {
	api := fake.NewClientBuilder().WithObjects(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "cert"}},
		&admissionregistrationv1.MutatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "pods"},
			Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "pods.koordinator.io"}},
		},
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: "workloads"},
			Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "a"}, {Name: "b"}},
		},
	).Build()
	s := Settings{Secret: client.ObjectKey{Namespace: "system", Name: "cert"}, DNSName: "webhook.system.svc", Pods: "pods", Workloads: "workloads"}
	return &installation{Client: api, t: t, settings: s, now: time.Now()}
}

// keep writes data to the secret.
func (i *installation) keep(data map[string][]byte) {
	i.t.Helper()
	secret := corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "cert"}, Data: data}
	if err := i.Update(context.Background(), &secret); err != nil {
		i.t.Fatal(err)
	}
}

// bundle returns the bundle that every webhook trusts. It must be the same for
// all.
func (i *installation) bundle() []byte {
	i.t.Helper()
	objects, err := configurationsOf(i, i.settings).all(context.Background())
	if err != nil {
		i.t.Fatal(err)
	}
	all := append(bundles(objects[0]), bundles(objects[1])...)
	for _, b := range all {
		if !bytes.Equal(*b, *all[0]) {
			i.t.Errorf("webhooks trust different authorities: %s and %s", *all[0], *b)
		}
	}
	return *all[0]
}

func (i *installation) authority() *Authority {
	return NewAuthority(i, i, i.settings, slog.New(slog.DiscardHandler))
}

// sync makes a replica write the bundles.
func (i *installation) sync(a *Authority) {
	i.t.Helper()
	if err := a.sync(context.Background(), i.now); err != nil {
		i.t.Fatal(err)
	}
}

// served returns the certificate of a replica after a check.
func (i *installation) served(c *Served) []byte {
	i.t.Helper()
	if err := c.load(context.Background(), i.now); err != nil {
		i.t.Log(err)
	}
	pair, err := c.Get(nil)
	if err != nil {
		i.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
}

func TestCertificateIsReadyOnceTrusted(t *testing.T) {
	i := newInstallation(t)
	c, a := NewServed(i, i.settings, slog.New(slog.DiscardHandler)), i.authority()
	notYet := func(step, want string) {
		t.Helper()
		err := c.load(t.Context(), i.now)
		c.reason.Store(&err)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: have %v, want %q", step, err, want)
		}
		if ready := c.Ready(nil); ready == nil || !strings.Contains(ready.Error(), want) {
			t.Errorf("%s: readiness says %v, want %q", step, ready, want)
		}
		if _, err := c.Get(nil); err == nil {
			t.Errorf("%s: a certificate is served", step)
		}
	}
	if err := c.Ready(nil); err == nil {
		t.Error("ready before the first look")
	}
	notYet("at first", "secret system/cert is still empty")
	if err := a.sync(t.Context(), i.now); err == nil {
		t.Error("an authority is written although there is none")
	}
	i.keep(map[string][]byte{certFile: []byte("nonsense"), caFile: newSigner(t).CertPEM})
	notYet("with nonsense in the secret", "read the certificate of secret system/cert")
	i.sync(a)
	i.keep(newSigner(t).issue(t))
	notYet("when the API server knows another authority", "does not trust certificate")
	i.sync(a)
	if n := testutil.CollectAndCount(c); n != 0 {
		t.Errorf("%d metrics without a certificate", n)
	}
	i.served(c)
	if err := c.Ready(nil); err != nil {
		t.Errorf("not ready when trusted: %v", err)
	}
	leaf := c.current.Load().Leaf
	want := fmt.Sprintf("# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n%[1]s %[3]d\n", "koordinator_certificate_not_after_timestamp_seconds",
		"End of the validity of the certificate that this replica serves, in seconds since 1970.", leaf.NotAfter.Unix())
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "koordinator_certificate_not_after_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(c); n != 2 {
		t.Errorf("%d metrics of the certificate", n)
	}
}

func TestCertificateOfTheSameAuthorityIsServedAfterAMoment(t *testing.T) {
	i := newInstallation(t)
	ca := newSigner(t)
	c, a := NewServed(i, i.settings, slog.New(slog.DiscardHandler)), i.authority()
	first, second := ca.issue(t), ca.issue(t)
	i.keep(first)
	i.sync(a)
	if !bytes.Equal(i.served(c), first[certFile]) {
		t.Fatal("the first certificate is not served")
	}
	i.keep(second)
	if !bytes.Equal(i.served(c), first[certFile]) {
		t.Error("the renewed certificate is served at once")
	}
	i.now = i.now.Add(settle)
	if !bytes.Equal(i.served(c), second[certFile]) {
		t.Error("the renewed certificate is not served")
	}
}

// TestNewAuthorityIsTrustedBeforeItsCertificateIsServed performs a renewal step
// by step, with a check of every replica in each step: the certificates that they
// serve are always trusted.
func TestNewAuthorityIsTrustedBeforeItsCertificateIsServed(t *testing.T) {
	i := newInstallation(t)
	before, after := newSigner(t), newSigner(t)
	old, renewed := before.issue(t), after.issue(t)
	slow, fast := NewServed(i, i.settings, slog.New(slog.DiscardHandler)), NewServed(i, i.settings, slog.New(slog.DiscardHandler))
	a := i.authority()
	trusted := func(step string, c *Served) {
		t.Helper()
		pair, err := c.Get(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.api.trust(t.Context(), pair, c.service); err != nil {
			t.Errorf("%s: %v", step, err)
		}
	}
	i.keep(old)
	i.sync(a)
	i.served(slow)
	i.served(fast)

	i.keep(renewed)
	if !bytes.Equal(i.served(fast), old[certFile]) {
		t.Error("a certificate is served that is not trusted")
	}
	i.sync(a)
	if want := string(after.CertPEM) + string(before.CertPEM); string(i.bundle()) != want {
		t.Errorf("both authorities should be trusted, have\n%s", i.bundle())
	}
	i.served(fast)
	trusted("written", fast)
	i.now = i.now.Add(settle)
	if !bytes.Equal(i.served(fast), renewed[certFile]) {
		t.Error("the renewed certificate is not served")
	}
	trusted("fast replica has loaded it", fast)
	trusted("slow replica has not", slow)

	i.now = i.now.Add(overlap)
	i.sync(a)
	if !bytes.Equal(i.bundle(), after.CertPEM) {
		t.Errorf("the authority before is still trusted:\n%s", i.bundle())
	}
	if !bytes.Equal(i.served(slow), renewed[certFile]) {
		t.Error("a replica whose certificate is not trusted any more waits")
	}
}

func TestCertificateOfFilesIsReadAgain(t *testing.T) {
	i := newInstallation(t)
	ca := newSigner(t)
	i.settings.Directory = t.TempDir()
	c := NewServed(i, i.settings, slog.New(slog.DiscardHandler))
	put := func(data map[string][]byte, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(i.settings.Directory, name), data[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := c.load(t.Context(), i.now); err == nil || !strings.Contains(err.Error(), certFile) {
		t.Errorf("without files: have %v", err)
	}
	first, second := ca.issue(t), ca.issue(t)
	i.keep(first) // only so that the authority is written
	i.sync(i.authority())
	put(first, certFile, keyFile)
	if !bytes.Equal(i.served(c), first[certFile]) {
		t.Error("the first certificate is not served")
	}
	put(second, certFile)
	if !bytes.Equal(i.served(c), first[certFile]) {
		t.Error("a certificate is served with another's key")
	}
	put(second, keyFile)
	i.served(c)
	i.now = i.now.Add(settle)
	if !bytes.Equal(i.served(c), second[certFile]) {
		t.Error("the renewed certificate is not served")
	}
}

// TestConfigurationForWorkloadsMayBeAway checks that replicas wait only for the
// configuration for pods.
func TestConfigurationForWorkloadsMayBeAway(t *testing.T) {
	i := newInstallation(t)
	objects, err := configurationsOf(i, i.settings).all(t.Context())
	if err != nil || len(objects) != 2 {
		t.Fatalf("have %d configurations and %v", len(objects), err)
	}
	for _, object := range objects {
		if err := i.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	c := configurationsOf(i, i.settings)
	if _, err := c.all(t.Context()); err == nil || !strings.Contains(err.Error(), "pods") {
		t.Errorf("without the one for pods: have %v", err)
	}
	again := admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "pods"}}
	if err := i.Create(t.Context(), &again); err != nil {
		t.Fatal(err)
	}
	if objects, err := c.all(t.Context()); err != nil || len(objects) != 1 {
		t.Errorf("without the one for workloads: have %d and %v", len(objects), err)
	}
}

// TestReplicaOfANewReleaseNeedsNoLeaderOfIt covers a leader that created the
// certificate and runs a release without a configuration for workloads. The new
// replica must become ready by itself, or the rollout would wait indefinitely.
func TestReplicaOfANewReleaseNeedsNoLeaderOfIt(t *testing.T) {
	i := newInstallation(t)
	i.keep(newSigner(t).issue(t))
	before := i.settings
	before.Workloads = ""
	i.sync(NewAuthority(i, i, before, slog.New(slog.DiscardHandler)))
	c := NewServed(i, i.settings, slog.New(slog.DiscardHandler))
	if err := c.load(t.Context(), i.now); err == nil {
		t.Fatal("served before it is trusted for workloads")
	}
	i.sync(i.authority())
	i.served(c)
}

// TestReplicasAgreeOnWhomToTrust checks that a replica that has just started does
// not add an authority again that another replica has dropped.
func TestReplicasAgreeOnWhomToTrust(t *testing.T) {
	i := newInstallation(t)
	before, after := newSigner(t), newSigner(t)
	long := i.authority()
	i.keep(before.issue(t))
	i.sync(long)
	i.keep(after.issue(t))
	i.sync(long)
	i.now = i.now.Add(overlap)
	i.sync(i.authority())
	if want := string(after.CertPEM) + string(before.CertPEM); string(i.bundle()) != want {
		t.Errorf("the new replica changed the bundle to\n%s", i.bundle())
	}
	for range 2 {
		i.sync(long)
		i.sync(i.authority())
	}
	if !bytes.Equal(i.bundle(), after.CertPEM) {
		t.Errorf("have\n%s\nwant the latest alone", i.bundle())
	}
}
