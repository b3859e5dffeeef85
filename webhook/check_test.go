package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
)

func TestCheckJudgesTheAnswer(t *testing.T) {
	said := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
	}
	silent, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	known, err := commands.New(commands.Settings{}, nil, registry, silent)
	if err != nil {
		t.Fatal(err)
	}
	ours := admission.New(inject.Settings{Image: "koordinator/wrapper:test"}, known, registry, silent)
	for _, tt := range []struct {
		name    string
		webhook http.Handler
		want    string // "": good
	}{
		{"ours", &ctrlwebhook.Admission{Handler: ours}, ""},
		{"another server", http.NotFoundHandler(), "read the webhook's answer, 404 Not Found"},
		{"an empty answer", said(`{}`), "answer is empty"},
		{"a refusal", said(`{"response": {"allowed": false, "status": {"message": "no"}}}`), "refuses a good pod: no"},
		{"a refusal without a word", said(`{"response": {"allowed": false}}`), "refuses a good pod"},
		{"no patch", said(`{"response": {"allowed": true}}`), "wraps no container of an annotated pod"},
		{"a mark alone", said(`{"response": {"allowed": true, "patch": "W10="}}`), "wraps no container of an annotated pod"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewTLSServer(tt.webhook)
			defer server.Close()
			roots := x509.NewCertPool()
			roots.AddCert(server.Certificate())
			at := server.Listener.Addr().String()
			err := askAbout(t.Context(), at, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("have %v, want %q", err, tt.want)
			}
			if err := askAbout(t.Context(), at, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}); err == nil {
				t.Error("a server that is not trusted is believed")
			}
		})
	}
}

// TestCheckAcceptsTheHostOfEveryIPFamily passes the host as the kubelet writes it into
// KOORDINATOR_SERVICE_HOST, that is, without brackets. Nothing answers there.
func TestCheckAcceptsTheHostOfEveryIPFamily(t *testing.T) {
	for host, address := range map[string]string{"127.0.0.1": "127.0.0.1:443", "::1": "[::1]:443", "koordinator": "koordinator:443"} {
		ended, end := context.WithCancel(t.Context())
		end()
		err := askAbout(ended, serviceAddress(host), &tls.Config{MinVersion: tls.VersionTLS12})
		if asked, ok := errors.AsType[*url.Error](err); !ok || asked.URL != "https://"+address+podsPath || !errors.Is(asked, context.Canceled) {
			t.Errorf("host %s: %v", host, err)
		}
	}
}

func TestCheckRequiresTheHostOfTheService(t *testing.T) {
	var out strings.Builder
	if err := selfCheck(t.Context(), []string{"--namespace=shop"}, &out); err == nil || !strings.Contains(out.String(), "--host is missing") {
		t.Errorf("%v: %s", err, &out)
	}
}
