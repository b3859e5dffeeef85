// Package webhook is the admission webhook: it rewrites annotated pods as they
// are created, so that some of their containers run under koordinator, and
// grants those pods what koordinator needs at run time.
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
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
	"koordinator.io/koordinator/webhook/workload"
)

// Where the API server finds the webhook.
const (
	podsPath      = "/mutate-pods"
	workloadsPath = "/validate-workloads"
)

// leaderLease is the name of the lease by which replicas choose a leader.
const leaderLease = "koordinator-webhook"

// How long a leader may be silent before another replica takes over, and how
// long it tries to speak before it gives up, which ends the process and with it
// admission: an API server that restarts must not take that long. A replica
// that ends on request hands over at once.
const (
	leaseDuration = time.Minute
	renewDeadline = 50 * time.Second
)

// Run serves until the context ends. It logs to stderr, and the error it
// returns has been told there.
func Run(ctx context.Context, args []string, stderr io.Writer) error {
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
	slog.SetDefault(log) // net/http writes to the default one
	if err := serve(ctx, o, log); err != nil {
		log.Error("webhook ends", "error", err)
		return err
	}
	return nil
}

// serve wires the parts together and runs them.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	api, err := config.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	var cert *certificate
	server := ctrlwebhook.NewServer(ctrlwebhook.Options{
		Port: o.Port,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			c.NextProtos = []string{"http/1.1"}
			c.GetCertificate = cert.get
		}},
	})
	mgr, err := manager.New(api, manager.Options{
		Scheme:                        scheme.Scheme,
		Logger:                        ctrllog.Log,
		Cache:                         cache.Options{ByObject: rbac.Cache(inject.InjectedLabel, inject.StatusAnnotation)},
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.HealthAddress,
		WebhookServer:                 server,
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              leaderLease,
		LeaderElectionNamespace:       o.Namespace,
		LeaseDuration:                 new(leaseDuration),
		RenewDeadline:                 new(renewDeadline),
		LeaderElectionReleaseOnCancel: true, // Run's return ends the process
	})
	if err != nil {
		return fmt.Errorf("set up the manager: %w", err)
	}
	if cert, err = addCertificate(mgr, o, log); err != nil {
		return err
	}
	if err := rbac.Add(mgr, inject.StatusAnnotation, log); err != nil {
		return fmt.Errorf("set up the grants: %w", err)
	}
	m := newMetrics(ctrlmetrics.Registry)
	c, err := o.Lookups.commands(mgr.GetAPIReader(), m, log)
	if err != nil {
		return err
	}
	mgr.GetWebhookServer().Register(podsPath, &admission.Webhook{Handler: &handler{settings: o.Inject, commands: c, metrics: m, log: log}})
	mgr.GetWebhookServer().Register(workloadsPath, &admission.Webhook{Handler: workload.New(checkTemplate(o.Inject, log))})
	err = errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("webhook", inTurn(cert.ready, server.StartedChecker())),
	)
	if err != nil {
		return fmt.Errorf("set up the probes: %w", err)
	}
	log.Info("webhook starts", "version", o.Inject.Version, "wrapperImage", o.Inject.Image)
	return mgr.Start(ctx)
}

// inTurn is a check that makes one check after the other, until one fails.
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
