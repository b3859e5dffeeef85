package webhook

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/certificate"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/wrapper/spec"
)

// options are the webhook's settings, as its flags give them.
type options struct {
	Inject         inject.Settings
	Commands       commands.Settings
	OnLookupError  string // denyOnError or skipOnError
	Port           int    // of the admission server
	HealthAddress  string // of /healthz and /readyz
	MetricsAddress string // of /metrics; "0": none
	Namespace      string // the webhook runs in
	Service        string // that the API server calls it by
	CertDir        string // with a certificate that somebody else renews; "": we make our own
	Secret         string // in the namespace, for the certificate of our own; must exist
	MinTLS         tlsVersion
	Configuration  string        // name of the MutatingWebhookConfiguration
	Workloads      string        // name of the ValidatingWebhookConfiguration; "": there is none
	LeaderElection bool          // among replicas, for everything but admission
	Lease          string        // in the namespace, by which the leader is chosen; must exist
	Drain          time.Duration // from the request to end until the admission server stops
	Memory         int64         // bytes that the container may use; 0: not known
	LogLevel       slog.Level
}

// What can follow when an image could not be looked up.
const (
	denyOnError = "deny"
	skipOnError = "skip"
)

// parseOptions reads the flags. The error has been told on stderr.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("webhook", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { usage(f, stderr) }
	f.IntVar(&o.Port, "port", 9443, "port of the admission server")
	f.StringVar(&o.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	f.StringVar(&o.MetricsAddress, "metrics-address", ":8080", `address of /metrics, "0" for none`)
	f.StringVar(&o.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace the webhook runs in (environment: POD_NAMESPACE)")
	f.StringVar(&o.Service, "service", "koordinator", "service by which the API server calls the webhook")
	f.StringVar(&o.CertDir, "cert-dir", "", "directory with tls.crt and tls.key, which are read again when they change; without it, the webhook makes its own certificate and keeps it in --secret")
	f.StringVar(&o.Secret, "secret", "koordinator-cert", "existing secret to keep the webhook's own certificate in")
	o.MinTLS = tls.VersionTLS12
	f.TextVar(&o.MinTLS, "tls-min-version", o.MinTLS, "lowest version of TLS that is spoken, 1.2 or 1.3")
	f.StringVar(&o.Configuration, "configuration", "koordinator", "MutatingWebhookConfiguration to put the certificate authority into")
	f.StringVar(&o.Workloads, "workload-configuration", "", "ValidatingWebhookConfiguration to put the certificate authority into, without it there is none")
	f.StringVar(&o.Lease, "lease", "koordinator-self-signed", "existing lease by which the replicas choose a leader; the chart names it after the way certificates are made")
	f.DurationVar(&o.Drain, "drain", 10*time.Second, "how long calls are answered after the request to end")
	f.BoolVar(&o.LeaderElection, "leader-elect", true, "let one of several replicas write certificates and role bindings")
	f.Int64Var(&o.Memory, "memory-limit", 0, "bytes of memory that the container may use: the garbage collector works harder before nine tenths of them are in use; 0 if there is no limit")
	f.TextVar(&o.LogLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	f.StringVar(&o.Inject.Image, "wrapper-image", os.Getenv("WRAPPER_IMAGE"), "image of the wrapper, required (environment: WRAPPER_IMAGE)")
	pull := f.String("wrapper-pull-policy", string(corev1.PullIfNotPresent), "pull policy of the wrapper's image")
	delivery := f.String("delivery", string(inject.ByNodes), "how pods get the wrapper: init-container, image-volume (Kubernetes 1.35 or later on every node), or auto, which lists the nodes to choose one of these")
	cpu := f.String("install-cpu", "50m", "CPU request and limit of the init container")
	memory := f.String("install-memory", "32Mi", "memory request and limit of the init container")
	late := f.String("late-sidecars", "istio-proxy,linkerd-proxy,vault-agent", "containers that other webhooks add and that may be named before they are there")
	f.StringVar(&o.OnLookupError, "on-lookup-error", denyOnError, "deny: refuse a pod that needs a lookup which fails; skip: leave it alone")
	o.Commands.Flags(f)
	if err := parseAll(f, args); err != nil {
		return o, err
	}
	o.Inject.SkipTrouble = o.OnLookupError == skipOnError
	o.Inject.PullPolicy = corev1.PullPolicy(*pull)
	o.Inject.Delivery = inject.Delivery(*delivery)
	o.Inject.Version = spec.Release
	o.Inject.LateSidecars = names(*late)
	err := o.resources(*cpu, *memory)
	if err == nil {
		err = o.validate()
	}
	if err != nil {
		fmt.Fprintln(stderr, "webhook:", err)
	}
	return o, err
}

// usage is what --help prints.
func usage(f *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, `Usage:
  webhook [flags]        serve
  webhook %s [flags]  check an installed webhook as the API server calls it (webhook %s --help)
  webhook %s        print the version

Flags:
`, checkCommand, checkCommand, versionCommand)
	f.PrintDefaults()
}

// parseAll reads flags, and refuses anything else. The error has been told to
// the set's output.
func parseAll(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return nil
	}
	err := fmt.Errorf("unexpected argument %q: every flag begins with --, and its value follows =", f.Arg(0))
	fmt.Fprintf(f.Output(), "%s: %v\n", f.Name(), err)
	return err
}

// names are those of a list that is divided by commas.
func names(list string) []string {
	var all []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// tlsVersion is a version of TLS as crypto/tls numbers it, written as 1.2 or
// 1.3.
type tlsVersion uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *tlsVersion) UnmarshalText(text []byte) error {
	switch string(text) {
	case "1.2":
		*v = tls.VersionTLS12
	case "1.3":
		*v = tls.VersionTLS13
	default:
		return fmt.Errorf("%q is none of 1.2, 1.3", text)
	}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (v tlsVersion) MarshalText() ([]byte, error) {
	return []byte(strings.TrimPrefix(tls.VersionName(uint16(v)), "TLS ")), nil
}

// certificate are the settings of the certificate.
func (o *options) certificate() certificate.Settings {
	return certificate.Settings{
		Directory: o.CertDir,
		Secret:    client.ObjectKey{Namespace: o.Namespace, Name: o.Secret},
		DNSName:   dnsName(o.Service, o.Namespace),
		Pods:      o.Configuration,
		Workloads: o.Workloads,
	}
}

// dnsName is the name by which the API server calls a service.
func dnsName(service, namespace string) string { return service + "." + namespace + ".svc" }

// resources sets requests and limits alike, so that a pod of quality of
// service class Guaranteed stays one.
func (o *options) resources(cpu, memory string) error {
	list := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if text == "" {
			continue
		}
		q, err := resource.ParseQuantity(text)
		if err != nil {
			return fmt.Errorf("--install-%s %q: %w", name, text, err)
		}
		list[name] = q
	}
	if len(list) > 0 {
		o.Inject.Resources = corev1.ResourceRequirements{Requests: list, Limits: list}
	}
	return nil
}

func (o *options) validate() error {
	switch o.Inject.PullPolicy {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return fmt.Errorf("--wrapper-pull-policy %q: one of Always, IfNotPresent, Never", o.Inject.PullPolicy)
	}
	switch o.Inject.Delivery {
	case inject.ByNodes, inject.ByInitContainer, inject.ByImageVolume:
	default:
		return fmt.Errorf("--delivery %q: one of %s, %s, %s", o.Inject.Delivery, inject.ByNodes, inject.ByInitContainer, inject.ByImageVolume)
	}
	if o.Inject.Image == "" {
		return errors.New("--wrapper-image is missing: name the image that is added to pods")
	}
	if o.Memory < 0 {
		return fmt.Errorf("--memory-limit %d: a number of bytes, or 0", o.Memory)
	}
	if o.Namespace == "" {
		return errors.New("--namespace is missing: name the namespace the webhook runs in")
	}
	if e := o.OnLookupError; e != denyOnError && e != skipOnError {
		return fmt.Errorf("--on-lookup-error %q: one of %s, %s", e, denyOnError, skipOnError)
	}
	return o.Commands.Validate()
}
