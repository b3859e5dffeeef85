package certificate

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fromSecret reads the certificate from a secret through the API server.
func fromSecret(reader client.Reader, key client.ObjectKey) func(context.Context) (tls.Certificate, error) {
	return func(ctx context.Context) (tls.Certificate, error) {
		var secret corev1.Secret
		if err := reader.Get(ctx, key, &secret); err != nil {
			return tls.Certificate{}, fmt.Errorf("read secret %s: %w", key, err)
		}
		if len(secret.Data[certFile]) == 0 {
			return tls.Certificate{}, fmt.Errorf("secret %s is still empty", key)
		}
		pair, err := tls.X509KeyPair(secret.Data[certFile], secret.Data[keyFile])
		if err != nil {
			return pair, fmt.Errorf("read the certificate of secret %s: %w", key, err)
		}
		return pair, nil
	}
}

// fromFiles reads the certificate from a directory in which the kubelet mounts a
// secret. The kubelet replaces both files atomically, but may do so between the
// two reads. The files then do not match, and the next read succeeds.
func fromFiles(dir string) func(context.Context) (tls.Certificate, error) {
	return func(context.Context) (tls.Certificate, error) {
		var files [2][]byte
		for i, name := range []string{certFile, keyFile} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return tls.Certificate{}, fmt.Errorf("read the certificate: %w", err)
			}
			files[i] = data
		}
		pair, err := tls.X509KeyPair(files[0], files[1])
		if err != nil {
			return pair, fmt.Errorf("read the certificate of %s: %w", dir, err)
		}
		return pair, nil
	}
}

// fingerprint returns the beginning of a certificate's SHA-256 hash, which
// identifies it in logs.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return fmt.Sprintf("%x", sum[:8])
}
