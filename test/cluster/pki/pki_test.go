package pki

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"testing"
	"time"
)

// parse reads the certificate of a pair and checks that the key belongs to it.
func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}

func TestIssue(t *testing.T) {
	authority, err := NewAuthority("test")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority.PEM)
	tests := []struct {
		name    string
		subject Subject
		hosts   []string // for which the certificate must be valid
		refused []string
		usages  []x509.ExtKeyUsage
	}{
		{
			name:    "a server, reached by name, service address and loopback",
			subject: Subject{Name: "api", DNS: []string{"kubernetes.default.svc"}, IPs: []string{"127.0.0.1", "10.96.0.1"}},
			hosts:   []string{"kubernetes.default.svc", "127.0.0.1", "10.96.0.1"},
			refused: []string{"10.96.0.2", "localhost"},
			usages:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		},
		{
			name:    "a client, which cannot pose as a server",
			subject: Subject{Name: "admin", Groups: []string{"system:masters"}},
			refused: []string{"127.0.0.1", "admin"},
			usages:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			pair, err := authority.Issue(test.subject)
			if err != nil {
				t.Fatal(err)
			}
			cert := parse(t, pair)
			if cert.Subject.CommonName != test.subject.Name || !slices.Equal(cert.Subject.Organization, test.subject.Groups) {
				t.Errorf("subject %v", cert.Subject)
			}
			if !slices.Equal(cert.ExtKeyUsage, test.usages) {
				t.Errorf("usages %v, want %v", cert.ExtKeyUsage, test.usages)
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
				t.Errorf("as a client: %v", err)
			}
			for _, host := range test.hosts {
				if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
					t.Errorf("as the server %s: %v", host, err)
				}
			}
			for _, host := range test.refused {
				if err := cert.VerifyHostname(host); err == nil {
					t.Errorf("good for %s", host)
				}
			}
			if now := time.Now(); now.Before(cert.NotBefore) || cert.NotAfter.Before(now.Add(24*time.Hour)) {
				t.Errorf("good from %s to %s", cert.NotBefore, cert.NotAfter)
			}
		})
	}
	if _, err := authority.Issue(Subject{Name: "x", IPs: []string{"10.96.0.256"}}); err == nil {
		t.Error("an address that is none is accepted")
	}
}

func TestSigningKeyIsAPair(t *testing.T) {
	signing, err := SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	private, _ := pem.Decode(signing.Key)
	key, err := x509.ParseECPrivateKey(private.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pem.Decode(signing.Cert)
	parsed, err := x509.ParsePKIXPublicKey(public.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !key.PublicKey.Equal(parsed) {
		t.Error("the public key is another's")
	}
}

func TestKubeconfig(t *testing.T) {
	raw, err := Kubeconfig("test", "https://127.0.0.1:1", []byte("authority"), Pair{Cert: []byte("cert"), Key: []byte("key")})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Current  string `json:"current-context"`
		Clusters []struct {
			Name    string
			Cluster struct {
				Server    string
				Authority string `json:"certificate-authority-data"`
			}
		}
		Users []struct {
			User struct {
				Cert string `json:"client-certificate-data"`
				Key  string `json:"client-key-data"`
			}
		}
		Contexts []struct {
			Name    string
			Context struct{ Cluster, User string }
		}
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	cluster, user, context := got.Clusters[0], got.Users[0].User, got.Contexts[0]
	if cluster.Cluster.Server != "https://127.0.0.1:1" || cluster.Cluster.Authority != encoded("authority") {
		t.Errorf("cluster %+v", cluster)
	}
	if user.Cert != encoded("cert") || user.Key != encoded("key") {
		t.Errorf("user %+v", user)
	}
	if got.Current != context.Name || context.Context.Cluster != cluster.Name || context.Context.User != "test" {
		t.Errorf("context %+v of %q", context, got.Current)
	}
}
