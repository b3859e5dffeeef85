package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// The environment that the webhook is configured for.
const (
	webhookNamespace = "koordinator"
	webhookHost      = "koordinator." + webhookNamespace + ".svc"
	webhookSecret    = "koordinator-cert"
	webhookName      = "koordinator"
)

// kinds are the resources that the webhook reads.
var kinds = map[string]string{
	"namespaces": "Namespace", "pods": "Pod", "secrets": "Secret", "events": "Event",
	"rolebindings": "RoleBinding", "leases": "Lease",
	"mutatingwebhookconfigurations": "MutatingWebhookConfiguration", "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
}

// emptyCluster is the minimal API server that the webhook needs to start. It serves the
// webhook's certificate and configuration, and nothing else.
type emptyCluster struct {
	*httptest.Server

	objects map[string][]any // by resource
	ca      *x509.CertPool   // CA of the webhook's certificate
}

// newEmptyCluster starts an emptyCluster with a new certificate for the webhook.
func newEmptyCluster() (*emptyCluster, error) {
	ca, files, err := certificates()
	if err != nil {
		return nil, err
	}
	meta := func(name string) map[string]any {
		return map[string]any{"name": name, "namespace": webhookNamespace, "uid": "1", "resourceVersion": "1"}
	}
	configuration := meta(webhookName)
	delete(configuration, "namespace")
	c := &emptyCluster{ca: x509.NewCertPool(), objects: map[string][]any{
		"secrets": {map[string]any{"kind": "Secret", "apiVersion": "v1", "metadata": meta(webhookSecret), "data": files}},
		"mutatingwebhookconfigurations": {map[string]any{
			"kind": "MutatingWebhookConfiguration", "apiVersion": "admissionregistration.k8s.io/v1", "metadata": configuration,
			"webhooks": []any{map[string]any{
				"name": "pods.koordinator.io", "sideEffects": "None", "admissionReviewVersions": []string{"v1"},
				"clientConfig": map[string]any{"caBundle": files["ca.crt"], "service": map[string]any{"name": "koordinator", "namespace": webhookNamespace}},
			}},
		}},
	}}
	c.ca.AddCert(ca)
	c.Server = httptest.NewServer(c)
	return c, nil
}

// close stops the server and ends every watch.
func (c *emptyCluster) close() {
	c.CloseClientConnections()
	c.Close()
}

// ServeHTTP implements http.Handler. It serves discovery, lists, objects by name, and
// watches without events.
func (c *emptyCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	version := 2 // path elements of /api/v1
	if parts[0] == "apis" {
		version = 3
	}
	switch rest := parts[min(version, len(parts)):]; {
	case len(parts) < version:
		answerWith(w, discover(parts))
	case len(rest) == 0:
		answerWith(w, resources(strings.Join(parts[1:], "/")))
	case r.URL.Query().Get("watch") != "":
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	case rest[0] == "namespaces" && len(rest) > 2:
		c.serve(w, r, strings.Join(parts[1:version], "/"), rest[2:])
	default:
		c.serve(w, r, strings.Join(parts[1:version], "/"), rest)
	}
}

// serve answers with a list of a resource, or with its only object.
func (c *emptyCluster) serve(w http.ResponseWriter, r *http.Request, version string, rest []string) {
	have := c.objects[rest[0]]
	switch {
	case len(rest) > 1 && len(have) == 0:
		w.WriteHeader(http.StatusNotFound)
		answerWith(w, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": http.StatusNotFound})
	case len(rest) > 1:
		answerWith(w, have[0])
	case r.Method != http.MethodGet: // for example an event or a lease
		w.WriteHeader(http.StatusForbidden)
		answerWith(w, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": http.StatusForbidden})
	case strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadata"):
		answerWith(w, map[string]any{"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": map[string]any{"resourceVersion": "1"}, "items": []any{}})
	default:
		answerWith(w, map[string]any{
			"kind": kinds[rest[0]] + "List", "apiVersion": version,
			"metadata": map[string]any{"resourceVersion": "1"}, "items": append([]any{}, have...),
		})
	}
}

// discover returns the API groups. parts is "api", "apis" or "apis", GROUP.
func discover(parts []string) any {
	group := func(name string) map[string]any {
		version := map[string]any{"groupVersion": name + "/v1", "version": "v1"}
		return map[string]any{"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": []any{version}, "preferredVersion": version}
	}
	switch {
	case parts[0] == "api":
		return map[string]any{"kind": "APIVersions", "versions": []string{"v1"}}
	case len(parts) == 2:
		return group(parts[1])
	}
	return map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{
		group("admissionregistration.k8s.io"), group("rbac.authorization.k8s.io"), group("coordination.k8s.io"), group("events.k8s.io"),
	}}
}

// resources returns the resources of a group. It always returns all resources, which does no harm.
func resources(version string) any {
	list := []any{}
	for name, kind := range kinds {
		list = append(list, map[string]any{
			"name": name, "kind": kind, "singularName": strings.ToLower(kind),
			"namespaced": !strings.HasSuffix(name, "configurations") && name != "namespaces",
			"verbs":      []string{"get", "list", "watch", "create", "update", "patch", "delete"},
		})
	}
	return map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list}
}

func answerWith(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // cannot happen: the object has strings and numbers only
	}
	w.Write(text)
}

// certificates returns a certificate authority, and the entries of the webhook's secret.
func certificates() (*x509.Certificate, map[string][]byte, error) {
	begin := time.Now().Add(-time.Hour)
	sign := func(serial int64, name, host string, authority bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name, Organization: []string{"koordinator"}},
			DNSNames: []string{host}, NotBefore: begin, NotAfter: begin.AddDate(1, 0, 0), IsCA: authority, BasicConstraintsValid: true,
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
	}
	files := map[string][]byte{}
	root := sign(1, "koordinator-ca", "koordinator-ca", true)
	rootKey, err := put(files, "ca", root, root, nil)
	if err != nil {
		return nil, nil, err
	}
	if _, err := put(files, "tls", sign(2, webhookHost, webhookHost, false), root, rootKey); err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(files["ca.crt"])
	ca, err := x509.ParseCertificate(block.Bytes)
	return ca, files, err
}

// put adds NAME.crt and NAME.key for a new key. Without a parent's key, the certificate is
// self-signed.
func put(files map[string][]byte, name string, cert, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	files[name+".crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	files[name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return key, nil
}
