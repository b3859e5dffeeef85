package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
			err := askAbout(t.Context(), server.URL, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("have %v, want %q", err, tt.want)
			}
			if err := askAbout(t.Context(), server.URL, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}); err == nil {
				t.Error("a server that is not trusted is believed")
			}
		})
	}
}
