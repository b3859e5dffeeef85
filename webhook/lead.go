package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	restclient "k8s.io/client-go/rest"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"koordinator.io/koordinator/webhook/certificate"
	"koordinator.io/koordinator/webhook/fleet"
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
)

// restartPause is the time between the end of a leader's term and the next
// attempt.
const restartPause = 2 * time.Second

// resignTimeout is how long the parts of a term may take to end. The next term
// repeats their writes, so nothing is lost.
const resignTimeout = 3 * time.Second

// lead does the work that exactly one replica must do. Until the context ends, it
// runs terms, each with a manager that tries to become the leader. If the leader
// loses its lease, for example in an outage of the API server, only its term
// ends. The process continues to serve admission requests.
func lead(ctx context.Context, log *slog.Logger, term func(ctx context.Context, number int) error) {
	for number := 1; ; number++ {
		err := term(ctx, number)
		if ctx.Err() != nil {
			return
		}
		log.Warn("leader's work ends, to begin again", "reason", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
	}
}

// leaderOptions returns the options of a term's manager.
func leaderOptions(o options) manager.Options {
	return manager.Options{
		Scheme:                        scheme.Scheme,
		Logger:                        ctrllog.Log,
		Cache:                         rbac.Cache(),
		Metrics:                       metricsserver.Options{BindAddress: "0"},              // the main manager serves all metrics
		Controller:                    ctrlconfig.Controller{SkipNameValidation: new(true)}, // an earlier term used the same name
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              o.Lease,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.LeaseDuration,
		RenewDeadline:                 &o.RenewDeadline,
		RetryPeriod:                   &o.RetryPeriod,
		GracefulShutdownTimeout:       new(resignTimeout),
	}
}

// leaderTerm returns a term of lead: it manages the grants, the metrics of
// injected pods and, if the webhook makes its own certificate, that certificate.
func leaderTerm(api *restclient.Config, o options, pods *fleet.Fleet, log *slog.Logger) func(context.Context, int) error {
	return func(ctx context.Context, number int) error {
		defer pods.End()
		mgr, err := manager.New(api, leaderOptions(o))
		if err != nil {
			return fmt.Errorf("set up the leader's manager: %w", err)
		}
		of := rbac.Namespaces{Enabled: o.Enabled.Selector, OptIn: o.OptIn.Selector}
		var observer rbac.Observer
		if o.FleetMetrics {
			observer = pods
		}
		if err := rbac.Add(mgr, inject.InjectedLabel, inject.StatusAnnotation, of, observer, log); err != nil {
			return fmt.Errorf("set up the grants: %w", err)
		}
		if o.CertDir == "" {
			if err := certificate.AddRotator(mgr, o.certificate(), number); err != nil {
				return err
			}
		}
		return mgr.Start(ctx)
	}
}
