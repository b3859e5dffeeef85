package certificate

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// issued is a certificate with its key.
type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// issue creates a certificate: an authority, or one for the webhook's name. It is
// signed by its issuer or, without one, by its own key.
func issue(t *testing.T, by *issued, name string, authority bool) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: authority, BasicConstraintsValid: true,
	}
	if authority {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		template.DNSNames, template.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// mount writes a chain with the key of its first certificate, like a secret of
// cert-manager that the kubelet mounts.
func mount(t *testing.T, dir string, chain ...*issued) {
	t.Helper()
	key, err := x509.MarshalECPrivateKey(chain[0].key)
	if err != nil {
		t.Fatal(err)
	}
	var certs bytes.Buffer
	for _, c := range chain {
		certs.Write(c.pem)
	}
	for name, data := range map[string][]byte{certFile: certs.Bytes(), keyFile: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// trusting makes both configurations trust an authority.
func (i *installation) trusting(bundle []byte) {
	i.t.Helper()
	objects, err := configurationsOf(i, i.settings).all(i.t.Context())
	if err != nil {
		i.t.Fatal(err)
	}
	for _, object := range objects {
		for _, b := range bundles(object) {
			*b = bundle
		}
		if err := i.Update(i.t.Context(), object); err != nil {
			i.t.Fatal(err)
		}
	}
}

// TestB7AChainWithIntermediatesIsTrusted compares, for each chain and bundle, the
// webhook's verdict with that of a client that trusts the bundle, like the client
// of the API server.
func TestB7AChainWithIntermediatesIsTrusted(t *testing.T) {
	const name = "webhook.system.svc"
	root, other := issue(t, nil, "root", true), issue(t, nil, "other", true)
	first := issue(t, root, "first", true)
	second := issue(t, first, "second", true)
	leaf := issue(t, second, name, false)
	for _, tt := range []struct {
		name   string
		chain  []*issued
		bundle *issued
		want   bool
	}{
		{"up to the root", []*issued{leaf, second, first}, root, true},
		{"in another order", []*issued{leaf, first, second}, root, true},
		{"with the root", []*issued{leaf, second, first, root}, root, true},
		{"an intermediate in the bundle", []*issued{leaf, second}, first, true},
		{"the issuer in the bundle", []*issued{leaf}, second, true},
		{"with a gap", []*issued{leaf, second}, root, false},
		{"without intermediates", []*issued{leaf}, root, false},
		{"another root", []*issued{leaf, second, first, root}, other, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := newInstallation(t)
			i.settings.Directory = t.TempDir()
			mount(t, i.settings.Directory, tt.chain...)
			i.trusting(tt.bundle.pem)
			c := NewServed(i, i.settings, slog.New(slog.DiscardHandler))
			err := c.load(t.Context(), i.now)
			if (err == nil) != tt.want {
				t.Errorf("the webhook says %v, want it trusted: %v", err, tt.want)
			}
			if have := clientAccepts(t, i, name); have != tt.want {
				t.Errorf("a client accepts it: %v, want %v", have, tt.want)
			}
		})
	}
}

// clientAccepts reports whether a client that trusts the same authorities as the
// configuration accepts the mounted chain.
func clientAccepts(t *testing.T, i *installation, name string) bool {
	t.Helper()
	pair, err := fromFiles(i.settings.Directory)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	var pods admissionregistrationv1.MutatingWebhookConfiguration
	if err := i.Get(t.Context(), client.ObjectKey{Name: i.settings.Pods}, &pods); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pods.Webhooks[0].ClientConfig.CABundle)
	caller := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: name}}}
	defer caller.CloseIdleConnections()
	resp, err := caller.Get(server.URL)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return true
}

// TestB7AnotherIntermediateAloneIsServed covers an authority that was signed
// again: it issues a new chain whose first certificate may be the same.
func TestB7AnotherIntermediateAloneIsServed(t *testing.T) {
	old, next := issue(t, nil, "old", true), issue(t, nil, "next", true)
	issuer := issue(t, old, "issuer", true)
	leaf := issue(t, issuer, "webhook.system.svc", false)
	again := &issued{key: issuer.key}
	der, err := x509.CreateCertificate(rand.Reader, issuer.cert, next.cert, issuer.key.Public(), next.key)
	if err != nil {
		t.Fatal(err)
	}
	again.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})

	i := newInstallation(t)
	i.settings.Directory = t.TempDir()
	c := NewServed(i, i.settings, slog.New(slog.DiscardHandler))
	mount(t, i.settings.Directory, leaf, issuer)
	i.trusting(old.pem)
	if err := c.load(t.Context(), i.now); err != nil {
		t.Fatal(err)
	}
	mount(t, i.settings.Directory, leaf, again)
	i.trusting(next.pem)
	if err := c.load(t.Context(), i.now); err != nil {
		t.Fatal(err)
	}
	if pair, err := c.Get(nil); err != nil || !bytes.Equal(pair.Certificate[1], der) {
		t.Errorf("the earlier intermediate is served: %v", err)
	}
}
