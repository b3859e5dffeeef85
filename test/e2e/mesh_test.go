//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// TestAMeshProxyThatAnotherWebhookAdds uses a real mutating webhook that adds a proxy to
// the pods of a Job. The API server calls it before koordinator's webhook in one case, and
// after it in the other. The Job of the documentation has two main containers, and must
// complete with only its annotations.
func TestAMeshProxyThatAnotherWebhookAdds(t *testing.T) {
	abreast(t)
	m := newMesh(t)
	for _, order := range []string{"before", "after"} {
		t.Run(order, func(t *testing.T) {
			ns := m.namespace(t, order)
			m.completes(t, ns, meshedJob(t))
		})
	}
}

// meshedJob returns the Job in docs/how-to/mesh-sidecars.md.
func meshedJob(t *testing.T) string {
	t.Helper()
	return examples(t, "docs/how-to/mesh-sidecars.md", "A Job in the mesh")[0]
}

// unordered returns a Job without its annotations.
func unordered(manifest string) string {
	before, rest, _ := strings.Cut(manifest, "    metadata:\n")
	_, after, _ := strings.Cut(rest, "    spec:\n")
	return before + "    spec:\n" + after
}

// mesh is a webhook that adds a proxy to pods, in a separate namespace.
type mesh struct {
	system    string // namespace of the webhook
	authority string // CA of its certificate, in base64
}

// newMesh starts the webhook. The API server does not call it yet.
func newMesh(t *testing.T) mesh {
	t.Helper()
	shopImages(t)
	system := namespace(t)
	certificate, key := selfSigned(t, "mesh."+system+".svc")
	encode := base64.StdEncoding.EncodeToString
	apply(t, system, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: mesh}
data: {tls.crt: %s, tls.key: %s}
---
apiVersion: v1
kind: Service
metadata: {name: mesh}
spec: {selector: {app: mesh}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: mesh, labels: {app: mesh}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: mesh, secret: {secretName: mesh}}]
  containers:
    - name: mesh
      image: shop:1
      imagePullPolicy: Never
      args: [inject, /mesh]
      volumeMounts: [{name: mesh, mountPath: /mesh}]
      readinessProbe: {tcpSocket: {port: 8443}, periodSeconds: 1}
`, encode(certificate), encode(key)))
	eventually(t, "the mesh's webhook", func() (bool, string) {
		out, _ := try(t, "", "-n", system, "get", "pod", "mesh", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		return out == "True", out
	})
	return mesh{system: system, authority: encode(certificate)}
}

// namespace creates an enabled namespace with these labels. For its pods, the API server
// calls the mesh's webhook "before" or "after" koordinator's.
func (m mesh) namespace(t *testing.T, order string, labels ...string) string {
	t.Helper()
	ns := namespace(t, append(labels, enabled, "mesh="+m.system+"-"+order)...)
	name := map[string]string{"before": "aaa-", "after": "zzz-"}[order] + ns // the API server calls webhooks in the order of the configurations' names
	t.Cleanup(func() { kubectl(t, "delete", "mutatingwebhookconfiguration", name, "--ignore-not-found") })
	apply(t, ns, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: %s}
webhooks:
  - name: mesh.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    namespaceSelector: {matchLabels: {mesh: %s-%s}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
    clientConfig: {caBundle: %s, service: {namespace: %s, name: mesh, path: /}}
`, name, m.system, order, m.authority, m.system))
	waitForMesh(t, ns)
	return ns
}

// completes checks that a Job with two main containers completes, and that its proxy
// received the request to quit.
func (m mesh) completes(t *testing.T, ns, manifest string) {
	t.Helper()
	apply(t, ns, manifest)
	pod, condition := job(t, ns, "report")
	if condition != "Complete" {
		t.Errorf("the Job is %s, want Complete", condition)
	}
	if e := terminated(t, pod, "istio-proxy"); e.ExitCode != 0 {
		t.Errorf("the proxy exited with code %d", e.ExitCode)
	}
	if out := logs(t, ns, pod.Name, "istio-proxy"); !out.has("was asked to quit") {
		t.Errorf("the proxy got no request to quit:\n%s", out)
	}
}

// waitForMesh waits until the API server calls the mesh's webhook.
func waitForMesh(t *testing.T, ns string) {
	t.Helper()
	eventually(t, "a proxy in a pod", func() (bool, string) {
		out, err := try(t, waitingPod, "-n", ns, "create", "--dry-run=server", "-o", "yaml", "-f", "-")
		return err == nil && strings.Contains(out, "istio-proxy"), out + fmt.Sprint(err)
	})
}

// selfSigned returns a self-signed certificate for a host, and its key.
func selfSigned(t *testing.T, host string) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
}

// TestAJobWaitsForEndpoints runs the Job of the documentation. It waits for a Service of
// another pod, and for a file that another container of the Job writes. The cluster of the
// tests has no DNS, so the Service's address replaces its name.
func TestAJobWaitsForEndpoints(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, `
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{port: 5432, targetPort: 8080}]}
`)
	address := kubectl(t, "-n", ns, "get", "service", "db", "-o", "jsonpath={.spec.clusterIP}")
	waits := examples(t, "docs/how-to/wait-for-service.md", "")[0]
	apply(t, ns, strings.ReplaceAll(waits, "//db:", "//"+address+":"))
	eventually(t, "an event that names the reason", func() (bool, string) {
		out := kubectl(t, "-n", ns, "get", "events", "-o", "jsonpath={.items[*].message}")
		return strings.Contains(out, "for: tcp://"+address), out
	})
	apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: db, image: "busybox:1.37", command: [sh, -c, "mkdir /tmp/www && echo rows > /tmp/www/rows && exec httpd -f -p 8080 -h /tmp/www"]}]
`)
	pod, condition := job(t, ns, "waits")
	if out := logs(t, ns, pod.Name, "main"); condition != "Complete" || !out.has("rows") {
		t.Errorf("the Job is %s:\n%s", condition, out)
	}
}
