// Package check finds out whether koordinator is installed and healthy in a cluster,
// whether a namespace is enabled, and why a pod was not injected. It reads objects from
// the API server and changes nothing.
package check

import (
	"context"
	"fmt"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Checker checks a cluster.
type Checker struct {
	API     client.Client                 // with the scheme of newScheme
	Version func() (*version.Info, error) // returns the API server's version
	Now     func() time.Time
}

// New returns a Checker for the cluster with this configuration.
func New(config *rest.Config) (*Checker, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	api, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	versions, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return &Checker{API: api, Version: versions.ServerVersion, Now: time.Now}, nil
}

// newScheme returns a scheme with the kinds that a Checker reads.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, admissionregistrationv1.AddToScheme, authorizationv1.AddToScheme, cmapi.AddToScheme,
	} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Question selects the parts of a cluster to check.
type Question struct {
	Namespace string       // the namespace to check, "" for none
	Named     bool         // the user named the namespace, so it must be enabled
	Pods      []corev1.Pod // the pods that should be injected
	Missing   []Owner      // workloads without a pod
}

// Owner is a workload. Kind is in lower case.
type Owner struct{ Kind, Name string }

// pause is the time between two attempts of Repeat.
const pause = 2 * time.Second

// Repeat calls ask until its report has no error or the wait is over, and returns the last
// report. It also retries errors of the API server.
func Repeat(ctx context.Context, wait time.Duration, ask func() (Report, error)) (Report, error) {
	end := time.Now().Add(wait)
	for {
		report, err := ask()
		if err == nil && report.Count(Error) == 0 || !time.Now().Add(pause).Before(end) {
			return report, err
		}
		select {
		case <-ctx.Done():
			return report, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// Check runs the checks that a question selects. It returns an error if the API server did
// not answer a request.
func (c *Checker) Check(ctx context.Context, q Question) (Report, error) {
	var r Report
	found, err := c.installation(ctx, r.section("koordinator"))
	if err != nil {
		return r, err
	}
	if q.Namespace != "" {
		if err := c.namespace(ctx, r.section("namespace "+q.Namespace), found, q); err != nil {
			return r, err
		}
	}
	for i := range q.Pods {
		pod := &q.Pods[i]
		if err := c.pod(ctx, r.section("pod "+pod.Namespace+"/"+pod.Name), found, pod); err != nil {
			return r, err
		}
	}
	for _, owner := range q.Missing {
		if err := c.missing(ctx, r.section(owner.Kind+" "+q.Namespace+"/"+owner.Name), q.Namespace, owner); err != nil {
			return r, err
		}
	}
	return r, nil
}

// denied reports whether the API server forbids a request. If so, it notes the check that
// was skipped.
func denied(s *Section, err error, what string) bool {
	if !apierrors.IsForbidden(err) {
		return false
	}
	s.warn("not checked: "+what, "You are not allowed to read it. Have an administrator run this command, or grant the permission")
	return true
}

// plural returns a number and a noun, in the plural where needed.
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
