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
	"koordinator.io/koordinator/webhook/inject"
	"koordinator.io/koordinator/webhook/rbac"
)

// restartPause is how long after its end the leader's work begins again.
const restartPause = 2 * time.Second

// resignTimeout is how long the parts of a term may take to end. What they
// write, they write again in the next term, so nothing is lost.
const resignTimeout = 3 * time.Second

// lead does the work of which there must be one, until the context ends: terms
// of a manager that wants to be the leader. A leader that loses its lease, as
// in an outage of the API server, ends, and with it the term, but not the
// process: admission goes on.
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

// leaderOptions are those of a term's manager.
func leaderOptions(o options) manager.Options {
	return manager.Options{
		Scheme:                        scheme.Scheme,
		Logger:                        ctrllog.Log,
		Cache:                         rbac.Cache(),
		Metrics:                       metricsserver.Options{BindAddress: "0"},              // the other manager's server has them all
		Controller:                    ctrlconfig.Controller{SkipNameValidation: new(true)}, // an earlier term had the same
		LeaderElection:                o.LeaderElection,
		LeaderElectionID:              o.Lease,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(resignTimeout),
	}
}

// leaderTerm is a term of lead: the grants, and the certificate where it is of
// our own making.
func leaderTerm(api *restclient.Config, o options, log *slog.Logger) func(context.Context, int) error {
	return func(ctx context.Context, number int) error {
		mgr, err := manager.New(api, leaderOptions(o))
		if err != nil {
			return fmt.Errorf("set up the leader's manager: %w", err)
		}
		if err := rbac.Add(mgr, inject.InjectedLabel, inject.StatusAnnotation, log); err != nil {
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
