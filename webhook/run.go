// Package webhook runs the admission webhook according to the program's
// arguments. The webhook rewrites annotated pods when they are created, so that
// some of their containers run under koordinator, and grants those pods the
// permissions that koordinator needs at run time. This package only wires the
// packages below it.
package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"koordinator.io/koordinator/webhook/admission"
	"koordinator.io/koordinator/webhook/certificate"
	"koordinator.io/koordinator/webhook/commands"
	"koordinator.io/koordinator/webhook/fleet"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/nodes"
	"koordinator.io/koordinator/webhook/rules"
	"koordinator.io/koordinator/webhook/workload"
	"koordinator.io/koordinator/wrapper/spec"
)

// Paths at which the API server calls the webhook.
const (
	podsPath      = "/mutate-pods"
	workloadsPath = "/validate-workloads"
)

// shutdownTimeout is how long reviews in progress may take when the server stops.
// The API server waits at most 30 s for a webhook, whatever its configuration.
const shutdownTimeout = 31 * time.Second

// versionCommand is the argument that makes the program print its version.
const versionCommand = "version"

func printVersion(args []string, out io.Writer) error {
	f := flag.NewFlagSet("webhook "+versionCommand, flag.ContinueOnError)
	f.SetOutput(out)
	switch err := parseAll(f, args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	fmt.Fprintln(out, spec.Release)
	return nil
}

// Run serves until the context ends. It logs to stderr, including any error that
// it returns.
func Run(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case checkCommand:
			return selfCheck(ctx, args[1:], stderr)
		case versionCommand:
			return printVersion(args[1:], stderr)
		}
	}
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	h := slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: o.LogLevel})
	log := slog.New(h)
	ctrllog.SetLogger(logr.FromSlogHandler(h))
	klog.SetSlogLogger(log)
	slog.SetDefault(log) // net/http logs to the default logger
	if o.Memory > 0 {
		debug.SetMemoryLimit(o.Memory / 10 * 9) // the rest is for memory that the runtime does not count
	}
	if err := serve(ctx, o, log); err != nil {
		log.Error("webhook ends", "error", err)
		return err
	}
	return nil
}

// serve wires the parts together and runs them: admission on every replica, and
// alongside it the work of the leader.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	api, err := apiServer()
	if err != nil {
		return err
	}
	var cert *certificate.Served
	server := ctrlwebhook.NewServer(ctrlwebhook.Options{
		Port: o.Port,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			speak(c, o.MinTLS)
			c.GetCertificate = cert.Get
		}},
	})
	mgr, err := manager.New(api, manager.Options{
		Scheme:                  scheme.Scheme,
		Logger:                  ctrllog.Log,
		Metrics:                 metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:  o.HealthAddress,
		WebhookServer:           server,
		GracefulShutdownTimeout: new(shutdownTimeout),
	})
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	var out drain
	cert = certificate.NewServed(mgr.GetAPIReader(), o.certificate(), log)
	if o.Inject.Delivery == inject.ByNodes {
		watcher, err := watchNodes(mgr, api, log)
		if err != nil {
			return err
		}
		o.Inject.ImageVolumes = watcher.ImageVolumes
	}
	c, err := commands.New(o.Commands, mgr.GetAPIReader(), ctrlmetrics.Registry, log)
	if err != nil {
		return err
	}
	pods := admission.New(o.Inject, c, ctrlmetrics.Registry, log)
	mgr.GetWebhookServer().Register(podsPath, out.wrap(inTime(&ctrlwebhook.Admission{Handler: pods})))
	for _, rule := range rules.Load(o.Rules, ctrlmetrics.Registry, log) {
		mgr.GetWebhookServer().Register(podsPath+"/rules/"+rule.Name, out.wrap(inTime(&ctrlwebhook.Admission{Handler: pods.ByRule(rule)})))
	}
	mgr.GetWebhookServer().Register(workloadsPath, out.wrap(&ctrlwebhook.Admission{Handler: workload.New(admission.CheckTemplate(o.Inject, log))}))
	err = errors.Join(
		mgr.Add(cert),
		ctrlmetrics.Registry.Register(cert),
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("webhook", inTurn(out.ready, cert.Ready, server.StartedChecker())),
	)
	if err != nil {
		return fmt.Errorf("set up the certificate and the probes: %w", err)
	}
	if o.CertDir == "" {
		if err := mgr.Add(certificate.NewAuthority(mgr.GetAPIReader(), mgr.GetClient(), o.certificate(), log)); err != nil {
			return fmt.Errorf("set up the certificate authority: %w", err)
		}
	}
	injected := fleet.New(ctrlmetrics.Registry, inject.StatusAnnotation, o.Inject.Version, o.FleetByNamespace)
	log.Info("webhook starts", "version", o.Inject.Version, "wrapperImage", o.Inject.Image)
	return run(ctx, o.Drain, &out, mgr, func(ctx context.Context) { again(ctx, log, "leader's work", leaderTerm(api, o, injected, log)) })
}

// apiServer returns the configuration of clients of the API server. They do not
// use a proxy from the environment, because it is for registries, and the API
// server has an address of the cluster.
func apiServer() (*restclient.Config, error) {
	api, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the API server: %w", err)
	}
	if api.Proxy == nil { // the kubeconfig names no proxy
		api.Proxy = http.ProxyURL(nil)
	}
	return api, nil
}

// watchNodes makes the manager watch the versions of the nodes.
func watchNodes(mgr manager.Manager, api *restclient.Config, log *slog.Logger) (*nodes.Watcher, error) {
	core, err := corev1client.NewForConfigAndClient(api, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the watch of nodes: %w", err)
	}
	watcher := nodes.New(core.RESTClient(), log)
	return watcher, mgr.Add(watcher)
}

// speak limits the protocols of a TLS configuration. It disables HTTP/2, because
// with HTTP/2 one connection can request more than it reads answers for.
func speak(c *tls.Config, lowest tlsVersion) {
	c.MinVersion = uint16(lowest)
	c.NextProtos = []string{"http/1.1"}
}

// run runs the admission server and, alongside it, the leader's work. The
// leader's work ends immediately with the context, so that another replica takes
// over. Admission is drained first.
func run(ctx context.Context, drained time.Duration, out *drain, mgr manager.Manager, leader func(context.Context)) error {
	serving, stop := out.context(ctx, drained)
	defer stop()
	leading, resign := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { leader(leading) })
	err := mgr.Start(serving)
	resign()
	done.Wait()
	return err
}

// inTurn returns a check that runs the checks in order until one fails.
func inTurn(checks ...healthz.Checker) healthz.Checker {
	return func(req *http.Request) error {
		for _, check := range checks {
			if err := check(req); err != nil {
				return err
			}
		}
		return nil
	}
}
