// Package certificate turns a directory or secret with a certificate, and the
// names of the webhook configurations that have to trust its authority, into the
// certificate that the server presents at any moment.
package certificate

import (
	"context"
	"crypto/x509"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Settings say where the certificate is kept and who has to trust it.
type Settings struct {
	Directory string           // with a certificate that somebody else renews; "": it is in the secret
	Secret    client.ObjectKey // with the certificate that koordinator makes; must exist
	DNSName   string           // by which the API server calls
	Pods      string           // name of the MutatingWebhookConfiguration
	Workloads string           // name of the ValidatingWebhookConfiguration; "": there is none
}

// Names of what a secret with a certificate holds, as cert-manager and
// cert-controller write it.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// Roots are the authorities that the API server trusts for a
// MutatingWebhookConfiguration of this name.
func Roots(ctx context.Context, reader client.Reader, configuration string) (*x509.CertPool, error) {
	var c admissionregistrationv1.MutatingWebhookConfiguration
	if err := reader.Get(ctx, client.ObjectKey{Name: configuration}, &c); err != nil {
		return nil, fmt.Errorf("read the webhook configuration %s: %w", configuration, err)
	}
	roots := x509.NewCertPool()
	for _, bundle := range bundles(&c) {
		roots.AppendCertsFromPEM(*bundle)
	}
	return roots, nil
}
