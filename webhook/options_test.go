package webhook

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
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
	if o.MinTLS != tls.VersionTLS13 || o.certificate().DNSName != "webhook.system.svc" || o.certificate().Secret.String() != "system/cert" || o.certificate().Workloads != "workloads" {
		t.Errorf("have %+v", o)
	}
	for _, name := range []string{"a", "b", "istio-proxy"} {
		if !o.Inject.Sidecars[name].Injected {
			t.Errorf("%s is not known as a container that another webhook adds", name)
		}
	}
	r := o.Inject.Resources
	if len(r.Requests) != 1 || r.Requests.Memory().String() != "16Mi" || !r.Limits.Memory().Equal(*r.Requests.Memory()) {
		t.Errorf("resources %v", r)
	}
}

func TestNamespacesAreSelected(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "system")
	byDefault, err := parseOptions([]string{"--wrapper-image=w"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	set, err := parseOptions([]string{
		"--wrapper-image=w", "--namespace-selector=team in (a,b),kubernetes.io/metadata.name notin (kube-system)",
		"--opt-in-namespace-selector=koordinator.io/injection notin (disabled)",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name                string
		labels              labels.Set
		enabled, selected   bool
		optIn, allowedOptIn bool
	}{
		{name: "enabled", labels: labels.Set{"koordinator.io/injection": "enabled"}, enabled: true, allowedOptIn: true},
		{name: "disabled", labels: labels.Set{"koordinator.io/injection": "disabled", "team": "a"}, selected: true},
		{name: "unlabelled", allowedOptIn: true},
		{name: "excluded", labels: labels.Set{"kubernetes.io/metadata.name": "kube-system", "team": "b"}, allowedOptIn: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have := []bool{byDefault.Enabled.Matches(tt.labels), set.Enabled.Matches(tt.labels), byDefault.OptIn.Matches(tt.labels), set.OptIn.Matches(tt.labels)}
			if diff := cmp.Diff([]bool{tt.enabled, tt.selected, tt.optIn, tt.allowedOptIn}, have); diff != "" {
				t.Errorf("enabled and opt-in by default, then as set (-want +have):\n%s", diff)
			}
		})
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
		{"an unknown delivery", []string{"--wrapper-image=w", "--delivery=post"}, `webhook: --delivery "post": one of auto, init-container, image-volume`},
		{"a bad quantity", []string{"--install-cpu=much"}, `webhook: --install-cpu "much": quantities must match`},
		{"an unknown flag", []string{"--fast"}, "flag provided but not defined: -fast"},
		{"an unknown version of TLS", []string{"--tls-min-version=1.1"}, `invalid value "1.1" for flag -tls-min-version: "1.1" is none of 1.2, 1.3`},
		{"a selector that is none", []string{"--namespace-selector=a in"}, `invalid value "a in" for flag -namespace-selector`},
		{"a lease that ends too soon", []string{"--wrapper-image=w", "--lease-duration=5s"}, "webhook: --lease-duration 5s, --lease-renew-deadline 10s, --lease-retry-period 2s: each must be shorter than the one before it"},
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

func TestB12ArgumentsThatNobodyReadsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--wrapper-image", "x", "extra", "--delivery", "foo", "--nonsense"},
		{"--wrapper-image=x", "check"},
		{"serve"},
		{"versoin"},
		{"check", "extra"},
		{"version", "extra"},
		{"version", "--short"},
		{"check"}, // without an address
	} {
		var stderr bytes.Buffer
		if err := Run(t.Context(), args, &stderr); err == nil || !strings.HasPrefix(stderr.String(), "webhook") && !strings.HasPrefix(stderr.String(), "flag provided") {
			t.Errorf("%q: %v, told %q", args, err, stderr.String())
		}
	}
}

func TestB12HelpAndVersionSucceed(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--help"}, []string{"webhook check [flags]", "webhook version", "-wrapper-image"}},
		{[]string{"check", "--help"}, []string{"-host"}},
		{[]string{"version", "--help"}, nil},
		{[]string{"version"}, []string{spec.Release + "\n"}},
	} {
		var out bytes.Buffer
		if err := Run(t.Context(), tt.args, &out); err != nil {
			t.Errorf("%q: %v", tt.args, err)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q: no %q in %s", tt.args, want, out.String())
			}
		}
	}
}

// TestB12DefaultsNameWhatTheChartMakes compares the defaults with the objects of
// a release named koordinator.
func TestB12DefaultsNameWhatTheChartMakes(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "system")
	t.Setenv("WRAPPER_IMAGE", "wrapper:1")
	o, err := parseOptions(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.Inject.Image != "wrapper:1" {
		t.Errorf("the wrapper's image is %q, want what the environment says", o.Inject.Image)
	}
	var made string
	for _, path := range []string{"../config/manager/manager.yaml", "../config/webhook/webhook.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		made += string(text)
	}
	for _, name := range []string{"--service=" + o.Service, "--configuration=" + o.Configuration} {
		if !strings.Contains(made, name+"\n") {
			t.Errorf("the chart does not have %s", name)
		}
	}
	for name, suffix := range map[string]string{o.Secret: "-cert", o.Lease: "-self-signed"} { // as in the chart's helpers
		if name != "koordinator"+suffix {
			t.Errorf("the default %s is not the release's name with %s", name, suffix)
		}
	}
}
