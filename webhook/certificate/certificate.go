// Package certificate provides the certificate that the server presents at any
// moment. It reads the certificate from a directory or secret, and serves it once
// the webhook configurations trust its authority.
package certificate

import (
	"context"
	"crypto/x509"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Settings specify where the certificate is stored and which webhook
// configurations must trust it.
type Settings struct {
	Directory string           // contains a certificate that another program renews; "": the certificate is in Secret
	Secret    client.ObjectKey // for the certificate that koordinator makes; must exist
	DNSName   string           // by which the API server calls the webhook
	Pods      string           // name of the MutatingWebhookConfiguration
	Workloads string           // name of the ValidatingWebhookConfiguration; "": none
}

// Keys of a secret with a certificate, as cert-manager and cert-controller use
// them.
const (
	certFile = "tls.crt"
	keyFile  = "tls.key"
	caFile   = "ca.crt"
)

// Roots returns the authorities that the API server trusts for the
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
