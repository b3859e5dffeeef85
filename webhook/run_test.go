package webhook

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// HTTPS_PROXY is for registries. The address of the API server is in no NO_PROXY
// that a user would think of.
func TestNoProxyForTheAPIServer(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	for _, named := range []string{"", "http://other.example:3128"} {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		config := `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}],
			clusters: [{name: c, cluster: {server: "https://10.96.0.1", proxy-url: "` + named + `"}}]}`
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("KUBECONFIG", file)
		api, err := apiServer()
		if err != nil {
			t.Fatal(err)
		}
		proxy, err := api.Proxy(httptest.NewRequest(http.MethodGet, "https://10.96.0.1/api", http.NoBody))
		if have := fmt.Sprint(proxy); err != nil || named == "" && proxy != nil || named != "" && have != named {
			t.Errorf("kubeconfig names %q: proxy %s, %v", named, have, err)
		}
	}
}

func TestWhatTheServerSpeaks(t *testing.T) {
	for _, tt := range []struct {
		name           string
		lowest         tlsVersion
		highestAsked   uint16
		wantProtocol   string
		wantTLSVersion uint16 // 0: rejected
	}{
		{"TLS 1.2 where it is allowed", tls.VersionTLS12, tls.VersionTLS12, "HTTP/1.1", tls.VersionTLS12},
		{"TLS 1.3 where it is asked for", tls.VersionTLS12, tls.VersionTLS13, "HTTP/1.1", tls.VersionTLS13},
		{"TLS 1.1 never", tls.VersionTLS12, tls.VersionTLS11, "", 0},
		{"TLS 1.2 where it is not allowed", tls.VersionTLS13, tls.VersionTLS12, "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.EnableHTTP2 = true // if the server's configuration allows it
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS10}
			speak(server.TLS, tt.lowest)
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			transport := client.Transport.(*http.Transport)
			transport.ForceAttemptHTTP2 = true
			transport.TLSClientConfig.MinVersion, transport.TLSClientConfig.MaxVersion = tls.VersionTLS10, tt.highestAsked
			resp, err := client.Get(server.URL)
			if tt.wantTLSVersion == 0 {
				if err == nil || !strings.Contains(err.Error(), "protocol version") {
					t.Errorf("have %v, want a refusal", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.Proto != tt.wantProtocol || resp.TLS.Version != tt.wantTLSVersion {
				t.Errorf("have %s over %s", resp.Proto, tls.VersionName(resp.TLS.Version))
			}
		})
	}
}
