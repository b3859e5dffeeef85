package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// configurations are the webhook configurations that contain the authorities that
// the API server trusts. They are read by name, so that the webhook needs no
// broader permission.
type configurations struct {
	reader    client.Reader // not cached
	pods      string        // the one for pods, which must exist
	workloads string        // the one for workloads; "": none
}

// configurationsOf returns the configurations that the settings name.
func configurationsOf(reader client.Reader, s Settings) configurations {
	return configurations{reader: reader, pods: s.Pods, workloads: s.Workloads}
}

// all reads both configurations. A missing configuration for workloads is not an
// error: while it is missing, the API server accepts workloads without it.
func (c configurations) all(ctx context.Context) ([]client.Object, error) {
	var pods admissionregistrationv1.MutatingWebhookConfiguration
	if err := c.reader.Get(ctx, client.ObjectKey{Name: c.pods}, &pods); err != nil {
		return nil, fmt.Errorf("read the webhook configuration %s: %w", c.pods, err)
	}
	objects := []client.Object{&pods}
	if c.workloads == "" {
		return objects, nil
	}
	var workloads admissionregistrationv1.ValidatingWebhookConfiguration
	err := c.reader.Get(ctx, client.ObjectKey{Name: c.workloads}, &workloads)
	switch {
	case apierrors.IsNotFound(err):
		return objects, nil
	case err != nil:
		return nil, fmt.Errorf("read the webhook configuration %s: %w", c.workloads, err)
	}
	return append(objects, &workloads), nil
}

// bundles returns the CA bundles of a configuration, one for each of its
// webhooks.
func bundles(configuration client.Object) []*[]byte {
	var places []*[]byte
	switch c := configuration.(type) {
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		for i := range c.Webhooks {
			places = append(places, &c.Webhooks[i].ClientConfig.CABundle)
		}
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		for i := range c.Webhooks {
			places = append(places, &c.Webhooks[i].ClientConfig.CABundle)
		}
	}
	return places
}

// trust returns an error if the API server would not accept a certificate for a
// DNS name. Like the API server, it uses the certificates that are served after
// the first one as intermediate authorities.
func (c configurations) trust(ctx context.Context, pair *tls.Certificate, name string) error {
	objects, err := c.all(ctx)
	if err != nil {
		return err
	}
	intermediates, err := intermediatesOf(pair)
	if err != nil {
		return err
	}
	for _, object := range objects {
		for _, bundle := range bundles(object) {
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(*bundle) {
				return fmt.Errorf("webhook configuration %s has no certificate authority yet", object.GetName())
			}
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates}); err != nil {
				return fmt.Errorf("webhook configuration %s does not trust certificate %s yet: %w", object.GetName(), fingerprint(pair.Leaf), err)
			}
		}
	}
	return nil
}

// intermediatesOf returns the certificates that are served after the first one.
func intermediatesOf(pair *tls.Certificate) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for i, der := range pair.Certificate[1:] {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d of the chain: %w", i+2, err)
		}
		pool.AddCert(c)
	}
	return pool, nil
}
