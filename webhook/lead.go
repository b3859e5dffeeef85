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

// restartPause is the time between the end of the leader's work, or of a part of
// it, and the next attempt.
const restartPause = 2 * time.Second

// resignTimeout is how long the parts of a term may take to end. The next term
// repeats their writes, so nothing is lost.
const resignTimeout = 3 * time.Second

// again runs work again and again until the context ends.
func again(ctx context.Context, log *slog.Logger, name string, work func(context.Context) error) {
	for {
		err := work(ctx)
		if ctx.Err() != nil {
			return
		}
		log.Warn(name+" ends, to begin again", "reason", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartPause):
		}
	}
}

// workOptions returns the options of a manager of the leader's work.
func workOptions() manager.Options {
	return manager.Options{
		Scheme:                  scheme.Scheme,
		Logger:                  ctrllog.Log,
		Metrics:                 metricsserver.Options{BindAddress: "0"}, // the main manager serves all metrics
		GracefulShutdownTimeout: new(resignTimeout),
	}
}

// leaderOptions returns the options of a term's manager.
func leaderOptions(o options) manager.Options {
	m := workOptions()
	m.Cache = rbac.Cache()
	m.Controller = ctrlconfig.Controller{SkipNameValidation: new(true)} // an earlier term used the same name
	m.LeaderElection = o.LeaderElection
	m.LeaderElectionID, m.LeaderElectionNamespace = o.Lease, o.Namespace
	m.LeaderElectionReleaseOnCancel = true
	m.LeaseDuration, m.RenewDeadline, m.RetryPeriod = &o.LeaseDuration, &o.RenewDeadline, &o.RetryPeriod
	return m
}

// leaderTerm returns a term of the work that exactly one replica must do. A
// manager tries to become the leader. Then it manages the grants, the metrics of
// injected pods and, if the webhook makes its own certificate, that certificate.
// If the leader loses its lease, for example in an outage of the API server, only
// its term ends. The process continues to serve admission requests.
func leaderTerm(api *restclient.Config, o options, pods *fleet.Fleet, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
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
			err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
				again(ctx, log, "certificate rotation", rotation(api, o))
				return nil
			}))
			if err != nil {
				return fmt.Errorf("set up certificate rotation: %w", err)
			}
		}
		return mgr.Start(ctx)
	}
}

// rotation returns a run of the leader's certificate rotation. It has a manager of
// its own, so that its errors, for example without its secret, do not end the
// leader's other work.
func rotation(api *restclient.Config, o options) func(context.Context) error {
	return func(ctx context.Context) error {
		mgr, err := manager.New(api, workOptions())
		if err != nil {
			return fmt.Errorf("set up the manager of certificate rotation: %w", err)
		}
		if err := certificate.AddRotator(mgr, o.certificate()); err != nil {
			return err
		}
		return mgr.Start(ctx)
	}
}
