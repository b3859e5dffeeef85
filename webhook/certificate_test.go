package webhook

import (
	"context"
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// pair is a certificate as the rotator makes it.
func pair(t *testing.T) map[string][]byte {
	t.Helper()
	r := &rotator.CertRotator{CAName: "ca", DNSName: "webhook.system.svc", ExtKeyUsages: nil}
	ca, err := r.CreateCACert(time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{caFile: ca.CertPEM, certFile: ca.CertPEM, keyFile: ca.KeyPEM}
}

func TestCertificateIsReadyOnceTrusted(t *testing.T) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "cert"}}
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "koordinator"},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{{Name: "pods.koordinator.io"}},
	}
	workloads := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "koordinator"},
		Webhooks:   []admissionregistrationv1.ValidatingWebhook{{Name: "workloads.koordinator.io"}},
	}
	api := fake.NewClientBuilder().WithObjects(secret, configuration, workloads).Build()
	c := &certificate{
		reader: api, secret: client.ObjectKeyFromObject(secret), configuration: "koordinator", workloads: "koordinator",
		mark: filepath.Join(t.TempDir(), certFile), log: slog.New(slog.DiscardHandler),
	}
	expect := func(step, want string) {
		t.Helper()
		loaded, ready := c.load(context.Background()), c.ready(nil)
		if want == "" && (loaded != nil || ready != nil) {
			t.Fatalf("%s: %v, %v", step, loaded, ready)
		}
		if want != "" && (loaded == nil || ready == nil || !strings.Contains(loaded.Error(), want)) {
			t.Fatalf("%s: have %v and %v, want %q", step, loaded, ready, want)
		}
	}
	change := func(o client.Object) {
		t.Helper()
		if err := api.Update(context.Background(), o); err != nil {
			t.Fatal(err)
		}
	}

	expect("at first", "still empty")
	if _, err := c.get(nil); err == nil {
		t.Error("a certificate is served before there is one")
	}
	secret.Data = map[string][]byte{certFile: []byte("nonsense")}
	change(secret)
	expect("with nonsense in the secret", "read the certificate of secret system/cert")
	secret.Data = pair(t)
	change(secret)
	expect("before the API server knows", "no certificate authority of ours")
	configuration.Webhooks[0].ClientConfig.CABundle = secret.Data[caFile]
	change(configuration)
	expect("before it knows for workloads", "configuration for workloads koordinator has no certificate authority of ours")
	workloads.Webhooks[0].ClientConfig.CABundle = secret.Data[caFile]
	change(workloads)
	expect("when it knows", "")

	first, err := c.get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	secret.Data = pair(t)
	change(secret)
	expect("after a renewal", "")
	if second, _ := c.get(&tls.ClientHelloInfo{}); second == first {
		t.Error("the old certificate is still served")
	}
}

// Somebody may have removed the configuration for workloads: pods are served
// all the same.
func TestCertificateNeedsNoConfigurationForWorkloads(t *testing.T) {
	data := pair(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "cert"}, Data: data}
	configuration := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "koordinator"},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{{ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: data[caFile]}}},
	}
	for _, name := range []string{"", "removed"} {
		c := &certificate{
			reader: fake.NewClientBuilder().WithObjects(secret, configuration).Build(),
			secret: client.ObjectKeyFromObject(secret), configuration: "koordinator", workloads: name,
			mark: filepath.Join(t.TempDir(), certFile), log: slog.New(slog.DiscardHandler),
		}
		if err := c.load(t.Context()); err != nil {
			t.Errorf("configuration %q: %v", name, err)
		}
		if err := c.ready(nil); err != nil {
			t.Errorf("configuration %q: %v", name, err)
		}
	}
}
