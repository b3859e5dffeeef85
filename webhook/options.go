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
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/certificate"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
	"koordinator.io/koordinator/webhook/sidecars"
	"koordinator.io/koordinator/wrapper/spec"
)

// options are the webhook's settings, parsed from its flags.
type options struct {
	Inject           inject.Settings
	Commands         commands.Settings
	OnLookupError    string // denyOnError or skipOnError
	Rules            string // path of the operator's rules; "": none
	Port             int    // of the admission server
	HealthAddress    string // of /healthz and /readyz
	MetricsAddress   string // of /metrics; "0": none
	Namespace        string // in which the webhook runs
	Service          string // through which the API server calls the webhook
	CertDir          string // contains a certificate that another program renews; "": the webhook makes its own
	Secret           string // for the webhook's own certificate, in Namespace; must exist
	MinTLS           tlsVersion
	Configuration    string        // name of the MutatingWebhookConfiguration
	Workloads        string        // name of the ValidatingWebhookConfiguration; "": none
	LeaderElection   bool          // among replicas, for everything except admission
	Lease            string        // by which the replicas choose a leader, in Namespace; created if missing
	LeaseDuration    time.Duration // until a leader that has disappeared is replaced
	RenewDeadline    time.Duration // until a leader that cannot renew its lease stops leading
	RetryPeriod      time.Duration // between two attempts to become or stay the leader
	Enabled          selector      // namespaces whose injected pods may get grants
	FleetMetrics     bool          // whether the leader counts events in injected pods
	FleetByNamespace bool          // whether these metrics have the namespace as a label
	OptIn            selector      // namespaces in which only labeled pods may get grants
	Drain            time.Duration // from the stop request until the admission server stops
	Memory           int64         // bytes that the container may use; 0: unknown
	LogLevel         slog.Level
}

// Values of --on-lookup-error: the effect of a failed image lookup.
const (
	denyOnError = "deny"
	skipOnError = "skip"
)

// parseOptions parses the flags. It has already written any error that it returns
// to stderr.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("webhook", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { usage(f, stderr) }
	f.IntVar(&o.Port, "port", 9443, "port of the admission server")
	f.StringVar(&o.HealthAddress, "health-address", ":8081", "address of /healthz and /readyz")
	f.StringVar(&o.MetricsAddress, "metrics-address", ":8080", `address of /metrics; "0" disables it`)
	f.StringVar(&o.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace in which the webhook runs (environment: POD_NAMESPACE)")
	f.StringVar(&o.Service, "service", "koordinator", "service through which the API server calls the webhook")
	f.StringVar(&o.CertDir, "cert-dir", "", "directory with tls.crt and tls.key, which are reloaded when they change; if it is not set, the webhook creates its own certificate and stores it in --secret")
	f.StringVar(&o.Secret, "secret", "koordinator-cert", "existing secret in which the webhook stores its own certificate")
	o.MinTLS = tls.VersionTLS12
	f.TextVar(&o.MinTLS, "tls-min-version", o.MinTLS, "lowest TLS version that the webhook accepts, 1.2 or 1.3")
	f.StringVar(&o.Configuration, "configuration", "koordinator", "MutatingWebhookConfiguration in which the webhook sets the CA bundle")
	f.StringVar(&o.Workloads, "workload-configuration", "", "ValidatingWebhookConfiguration in which the webhook sets the CA bundle; empty if there is none")
	f.StringVar(&o.Lease, "lease", "koordinator-self-signed", "lease for the leader election, which the first replica creates; in the chart, its name depends on the source of the certificate")
	f.DurationVar(&o.LeaseDuration, "lease-duration", 15*time.Second, "time that other replicas wait before they replace a leader that no longer renews its lease")
	f.DurationVar(&o.RenewDeadline, "lease-renew-deadline", 10*time.Second, "time for which the leader tries to renew its lease before it stops leading")
	f.DurationVar(&o.RetryPeriod, "lease-retry-period", 2*time.Second, "time between two attempts to acquire or renew the lease")
	o.Enabled = selector{labels.SelectorFromSet(labels.Set{rbac.EnabledLabel: "enabled"})}
	o.OptIn = selector{labels.Nothing()}
	f.Var(&o.Enabled, "namespace-selector", "label selector of the enabled namespaces, in which the webhook grants injected pods the permissions that they need")
	f.Var(&o.OptIn, "opt-in-namespace-selector", "label selector of the namespaces in which pods can enable koordinator with the label "+rbac.EnabledLabel+"=enabled (default: none)")
	f.BoolVar(&o.FleetMetrics, "fleet-metrics", true, "serve metrics of injected pods: waiting containers, failed starts and versions")
	f.BoolVar(&o.FleetByNamespace, "fleet-metrics-by-namespace", true, "add the namespace of the pods to these metrics as a label")
	f.DurationVar(&o.Drain, "drain", 10*time.Second, "time for which the webhook continues to serve requests after a stop request")
	f.BoolVar(&o.LeaderElection, "leader-elect", true, "use leader election, so that only one replica writes certificates and RoleBindings")
	f.Int64Var(&o.Memory, "memory-limit", 0, "memory limit of the container in bytes, 0 if there is none; the garbage collector tries to keep memory usage below nine tenths of it")
	f.TextVar(&o.LogLevel, "log-level", slog.LevelInfo, "log level: debug, info, warn or error")
	f.StringVar(&o.Inject.Image, "wrapper-image", os.Getenv("WRAPPER_IMAGE"), "image of the wrapper, required (environment: WRAPPER_IMAGE)")
	pull := f.String("wrapper-pull-policy", string(corev1.PullIfNotPresent), "pull policy of the wrapper's image")
	delivery := f.String("delivery", string(inject.ByNodes), "how pods get the wrapper: init-container, image-volume (Kubernetes 1.35 or later on every node), or auto, which selects one of these based on the nodes of the cluster")
	cpu := f.String("install-cpu", "50m", "CPU request and limit of the init container")
	memory := f.String("install-memory", "32Mi", "memory request and limit of the init container")
	known := f.String("sidecars", "", "known sidecars as a JSON object that maps container names to {ready, stop, injected}, or to null to remove a built-in entry")
	late := f.String("late-sidecars", "", "deprecated, use --sidecars: names of containers that other webhooks add and that annotations may refer to before they are in the pod")
	f.StringVar(&o.OnLookupError, "on-lookup-error", denyOnError, "effect of a failed lookup: deny rejects the pod, skip leaves it unchanged")
	f.StringVar(&o.Rules, "rules", "", "file with rules, which add annotations to pods without them; it is read when the webhook starts")
	o.Commands.Flags(f)
	if err := parseAll(f, args); err != nil {
		return o, err
	}
	o.Inject.SkipTrouble = o.OnLookupError == skipOnError
	o.Inject.PullPolicy = corev1.PullPolicy(*pull)
	o.Inject.Delivery = inject.Delivery(*delivery)
	o.Inject.Version = spec.Release
	err := o.resources(*cpu, *memory)
	if err == nil {
		err = o.sidecars(*known, *late)
	}
	if err == nil {
		err = o.validate()
	}
	if err != nil {
		fmt.Fprintln(stderr, "webhook:", err)
	}
	return o, err
}

// usage prints the text of --help.
func usage(f *flag.FlagSet, out io.Writer) {
	fmt.Fprintf(out, `Usage:
  webhook [flags]        run the webhook
  webhook %s [flags]  check an installed webhook by calling it as the API server does (webhook %s --help)
  webhook %s        print the version

Flags:
`, checkCommand, checkCommand, versionCommand)
	f.PrintDefaults()
}

// parseAll parses flags and rejects any other argument. It has already written
// any error that it returns to the output of the flag set.
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

// names splits a comma-separated list.
func names(list string) []string {
	var all []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}

// tlsVersion is a TLS version in the numbering of crypto/tls. Its text form is
// 1.2 or 1.3.
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

// selector is a label selector in kubectl's syntax.
type selector struct{ labels.Selector }

// Set implements flag.Value.
func (s *selector) Set(text string) (err error) {
	s.Selector, err = labels.Parse(text)
	return err
}

// String implements flag.Value. The flag package also calls it on a zero value.
func (s *selector) String() string {
	if s.Selector == nil || s.Selector.Empty() {
		return ""
	}
	return s.Selector.String()
}

// certificate returns the settings of the certificate.
func (o *options) certificate() certificate.Settings {
	return certificate.Settings{
		Directory: o.CertDir,
		Secret:    client.ObjectKey{Namespace: o.Namespace, Name: o.Secret},
		DNSName:   dnsName(o.Service, o.Namespace),
		Pods:      o.Configuration,
		Workloads: o.Workloads,
	}
}

// dnsName returns the name by which the API server calls a service.
func dnsName(service, namespace string) string { return service + "." + namespace + ".svc" }

// sidecars sets the table of known sidecars.
func (o *options) sidecars(known, late string) error {
	table, err := sidecars.Parse(known)
	if err != nil {
		return fmt.Errorf("--sidecars: %w", err)
	}
	o.Inject.Sidecars = table.WithLate(names(late))
	return nil
}

// resources sets limits equal to requests, so that a pod in the quality of
// service class Guaranteed stays in it.
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
	if o.LeaseDuration <= o.RenewDeadline || o.RenewDeadline <= o.RetryPeriod || o.RetryPeriod <= 0 {
		return fmt.Errorf("--lease-duration %s, --lease-renew-deadline %s, --lease-retry-period %s: each must be shorter than the one before it", o.LeaseDuration, o.RenewDeadline, o.RetryPeriod)
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
