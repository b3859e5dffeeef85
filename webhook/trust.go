package webhook

import (
	"context"
	"crypto/x509"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// configurations are the webhook configurations that tell the API server which
// authority to trust. They are read by their names, so that no more than that
// has to be allowed.
type configurations struct {
	reader               client.Reader // not cached
	mutating, validating []string
}

// configurationsOf are those that the options name.
func configurationsOf(reader client.Reader, o options) configurations {
	return configurations{reader: reader, mutating: []string{o.Configuration}, validating: o.Validating}
}

// all reads every one of them.
func (c configurations) all(ctx context.Context) ([]client.Object, error) {
	var objects []client.Object
	read := func(name string, object client.Object) error {
		if err := c.reader.Get(ctx, client.ObjectKey{Name: name}, object); err != nil {
			return fmt.Errorf("read the webhook configuration %s: %w", name, err)
		}
		objects = append(objects, object)
		return nil
	}
	for _, name := range c.mutating {
		if err := read(name, &admissionregistrationv1.MutatingWebhookConfiguration{}); err != nil {
			return nil, err
		}
	}
	for _, name := range c.validating {
		if err := read(name, &admissionregistrationv1.ValidatingWebhookConfiguration{}); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// bundles are the places where a configuration keeps the authorities to trust,
// one for each of its webhooks.
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

// trust says why the API server would not accept a certificate for a DNS name,
// or nil.
func (c configurations) trust(ctx context.Context, cert *x509.Certificate, name string) error {
	objects, err := c.all(ctx)
	if err != nil {
		return err
	}
	for _, object := range objects {
		for _, bundle := range bundles(object) {
			roots := x509.NewCertPool()
			if !roots.AppendCertsFromPEM(*bundle) {
				return fmt.Errorf("webhook configuration %s has no certificate authority of ours yet", object.GetName())
			}
			if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
				return fmt.Errorf("webhook configuration %s does not trust certificate %s yet: %w", object.GetName(), fingerprint(cert), err)
			}
		}
	}
	return nil
}
