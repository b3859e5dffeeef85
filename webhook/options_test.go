package webhook

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/inject"
)

func TestOptions(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "system")
	var stderr bytes.Buffer
	o, err := parseOptions([]string{
		"--wrapper-image=wrapper:1", "--late-sidecars= a, b,", "--install-cpu=", "--install-memory=16Mi", "--log-level=debug", "--delivery=image-volume",
		"--tls-min-version=1.3", "--service=webhook", "--secret=cert", "--workload-configuration=workloads",
	}, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	if o.Inject.Delivery != inject.ByImageVolume {
		t.Errorf("delivery %q", o.Inject.Delivery)
	}
	if o.Namespace != "system" || o.LogLevel != slog.LevelDebug || o.Inject.PullPolicy != corev1.PullIfNotPresent {
		t.Errorf("have %+v", o)
	}
	if o.MinTLS != tls.VersionTLS13 || o.dnsName() != "webhook.system.svc" || o.secret().String() != "system/cert" || o.Workloads != "workloads" {
		t.Errorf("have %+v", o)
	}
	if diff := cmp.Diff([]string{"a", "b"}, o.Inject.LateSidecars); diff != "" {
		t.Errorf("late sidecars (-want +have):\n%s", diff)
	}
	r := o.Inject.Resources
	if len(r.Requests) != 1 || r.Requests.Memory().String() != "16Mi" || !r.Limits.Memory().Equal(*r.Requests.Memory()) {
		t.Errorf("resources %v", r)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no image", nil, "webhook: --wrapper-image is missing: name the image that is added to pods"},
		{"no namespace", []string{"--wrapper-image=w", "--namespace="}, "webhook: --namespace is missing: name the namespace the webhook runs in"},
		{"an unknown pull policy", []string{"--wrapper-image=w", "--wrapper-pull-policy=Often"}, `webhook: --wrapper-pull-policy "Often": one of Always, IfNotPresent, Never`},
		{"an unknown delivery", []string{"--wrapper-image=w", "--delivery=post"}, `webhook: --delivery "post": one of init-container, image-volume`},
		{"a bad quantity", []string{"--install-cpu=much"}, `webhook: --install-cpu "much": quantities must match`},
		{"an unknown flag", []string{"--fast"}, "flag provided but not defined: -fast"},
		{"an unknown version of TLS", []string{"--tls-min-version=1.1"}, `invalid value "1.1" for flag -tls-min-version: "1.1" is none of 1.2, 1.3`},
		{"an unknown log level", []string{"--log-level=loud"}, `invalid value "loud"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("POD_NAMESPACE", "system")
			var stderr bytes.Buffer
			if err := Run(t.Context(), tt.args, &stderr); err == nil {
				t.Fatal("want an error")
			}
			if !strings.HasPrefix(stderr.String(), tt.want) {
				t.Errorf("have %s\nwant %s", stderr.String(), tt.want)
			}
		})
	}
}
