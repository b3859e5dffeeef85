// Package rbac maintains one RoleBinding per enabled namespace, which allows the
// wrappers of injected pods to read pods. The binding contains the service
// accounts of unfinished pods that have the label of injected pods, except for
// pods whose status annotation shows that their wrappers do not send requests to
// the API server. Anybody who may create pods can set that label, so the label
// alone grants nothing in a namespace that is not enabled. The operator can allow
// pods in a namespace to enable koordinator for themselves; the grant then
// requires that the pod does so.
package rbac

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// PodReader is the name of the ClusterRole that wrappers need, and of the
// RoleBinding to it in each namespace.
const PodReader = "koordinator-pod-reader"

// The label that marks a RoleBinding as koordinator's own.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "koordinator"
)

// EnabledLabel enables koordinator for a namespace, or for a pod if the operator
// allows that.
const (
	EnabledLabel = "koordinator.io/injection"
	enabledValue = "enabled"
)

// Namespaces are label selectors of namespaces.
type Namespaces struct {
	Enabled labels.Selector // all injected pods may get grants
	OptIn   labels.Selector // pods with EnabledLabel may get grants
}

// local is the source in a pod's status annotation if no wrapper sends requests
// to the API server.
const local = "local"

// defaultAccount is the service account of a pod that does not name one.
const defaultAccount = "default"

// syncTimeout is how long the first list may take, for as many pods as can be
// kept.
const syncTimeout = 10 * time.Minute

// Reconciler adjusts each namespace's RoleBinding to the needs of its pods.
type Reconciler struct {
	client client.Client
	events events.EventRecorder
	pods   toolscache.Indexer // grantees by namespace
	of     Namespaces
	log    *slog.Logger
}

// Cache limits the manager's cache to the objects that the reconciler reads:
// koordinator's RoleBindings and the labels of namespaces.
func Cache() cache.Options {
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.RoleBinding{}: {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, PodReader)},
		},
		DefaultTransform: strip,
	}
}

// strip removes fields that are not read and can be larger than the rest of the
// object.
func strip(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	if m, ok := object.(*metav1.PartialObjectMetadata); ok {
		m.SetAnnotations(nil)
	}
	return object, nil
}

// firstRetry and lastRetry are the pauses after the first failure for a namespace
// and after many. Pods wait for their grant, so the last pause is short, too.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// staleRetry is the pause after a write for which the cache was too old. An event
// usually ends it.
const staleRetry = time.Second

// Add makes the manager run a reconciler, on the leader only. label is the label
// of injected pods, and status is their annotation, a JSON object with their
// source.
//
// observer also receives the pods; nil means none.
func Add(mgr manager.Manager, label, status string, of Namespaces, observer Observer, log *slog.Logger) error {
	api, err := client.NewWithWatch(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	informer := (&lister{client: api, label: label, status: status, most: maxPods, observer: observer}).informer()
	r := &Reconciler{client: mgr.GetClient(), events: mgr.GetEventRecorder(managedBy), pods: informer.GetIndexer(), of: of, log: log}
	byNamespace := handler.EnqueueRequestsFromMapFunc(namespaceOf)
	return builder.ControllerManagedBy(mgr).
		Named("rbac").
		WithOptions(controller.Options{
			CacheSyncTimeout: syncTimeout,
			RateLimiter:      workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}).
		WatchesRawSource(&pods{informer: informer, Informer: source.Informer{
			Informer: informer, Handler: byNamespace, Predicates: []predicate.Predicate{predicate.Funcs{UpdateFunc: needChanged}},
		}}).
		Watches(&rbacv1.RoleBinding{}, byNamespace).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(itself)).
		Complete(r)
}

// namespaceOf requests a reconciliation of an object's namespace.
func namespaceOf(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace()}}}
}

// itself requests a reconciliation of the namespace that the object is.
func itself(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetName()}}}
}

// needChanged reports whether an update changes the grant that a pod needs.
func needChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*grantee)
	after, ok2 := e.ObjectNew.(*grantee)
	return !ok1 || !ok2 || before.asks != after.asks || before.optsIn != after.optsIn
}

// Reconcile updates one namespace's RoleBinding. In a namespace that is not
// enabled, or no longer, accounts that have the grant keep it as long as a pod
// needs it, and no other account gets it.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	err := r.reconcile(ctx, req.Namespace)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return reconcile.Result{RequeueAfter: staleRetry}, nil
	}
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("grant pod reading in namespace %s: %w", req.Namespace, err)
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) reconcile(ctx context.Context, namespace string) error {
	pods, err := r.asking(namespace)
	if err != nil {
		return err
	}
	var have rbacv1.RoleBinding
	err = r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: PodReader}, &have)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	of, err := r.labels(ctx, namespace)
	if err != nil {
		return err
	}
	accounts := r.accounts(pods, of, granted(&have))
	if missing {
		return r.create(ctx, namespace, accounts)
	}
	return r.change(ctx, &have, accounts)
}

// asking returns a namespace's pods in which a wrapper may send requests to the
// API server.
func (r *Reconciler) asking(namespace string) ([]*grantee, error) {
	objects, err := r.pods.ByIndex(toolscache.NamespaceIndex, namespace)
	if err != nil {
		return nil, fmt.Errorf("find injected pods in namespace %s: %w", namespace, err)
	}
	var pods []*grantee
	for _, o := range objects {
		if g, ok := o.(*grantee); ok && g.asks {
			pods = append(pods, g)
		}
	}
	return pods, nil
}

// labels returns a namespace's labels, or nil if the namespace does not exist.
func (r *Reconciler) labels(ctx context.Context, namespace string) (labels.Set, error) {
	ns := metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
	if err := r.client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return labels.Merge(ns.Labels, nil), nil
}

// accounts returns the service accounts of these pods that get the grant, sorted.
// of are the labels of their namespace, and before are the accounts that have the
// grant.
func (r *Reconciler) accounts(pods []*grantee, of labels.Set, before []string) []string {
	enabled := of != nil && r.of.Enabled.Matches(of)
	optIn := of != nil && r.of.OptIn.Matches(of)
	needed := map[string]bool{}
	for _, p := range pods {
		if enabled || optIn && p.optsIn || slices.Contains(before, p.account) {
			needed[p.account] = true
		}
	}
	return slices.Sorted(maps.Keys(needed))
}

// granted returns the accounts of its namespace that a RoleBinding allows to read
// pods. A binding to another role grants nothing, whatever its creator: a binding
// with koordinator's name must not give an account more than its content does.
func granted(b *rbacv1.RoleBinding) []string {
	var accounts []string
	for _, s := range b.Subjects {
		account := s.Kind == rbacv1.ServiceAccountKind && s.Namespace == b.Namespace
		if account && b.RoleRef == roleRef() {
			accounts = append(accounts, s.Name)
		}
	}
	return accounts
}

func (r *Reconciler) create(ctx context.Context, namespace string, accounts []string) error {
	if len(accounts) == 0 {
		return nil
	}
	err := r.client.Create(ctx, binding(namespace, accounts))
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil
	}
	if err == nil {
		r.log.Info("pod reading granted", "namespace", namespace, "accounts", accounts)
	}
	return err
}

func (r *Reconciler) change(ctx context.Context, have *rbacv1.RoleBinding, accounts []string) error {
	if have.Labels[managedByLabel] != managedBy {
		r.foreign(have, accounts)
		return nil
	}
	want := binding(have.Namespace, accounts)
	switch {
	case len(accounts) == 0:
		r.log.Info("pod reading revoked", "namespace", have.Namespace)
		return r.delete(ctx, have)
	case have.RoleRef != want.RoleRef: // which is immutable
		if err := r.delete(ctx, have); err != nil {
			return err
		}
		return r.create(ctx, have.Namespace, accounts)
	case slices.Equal(have.Subjects, want.Subjects):
		return nil
	}
	next := have.DeepCopy()
	next.Subjects = want.Subjects
	if err := r.client.Update(ctx, next); err != nil {
		return err
	}
	r.log.Info("pod reading granted", "namespace", have.Namespace, "accounts", accounts)
	return nil
}

// delete removes the RoleBinding that was read, but not one that was created
// since then.
func (r *Reconciler) delete(ctx context.Context, have *rbacv1.RoleBinding) error {
	as := client.Preconditions{UID: &have.UID, ResourceVersion: &have.ResourceVersion}
	return client.IgnoreNotFound(r.client.Delete(ctx, have, as))
}

// foreign reports that another owner's RoleBinding has koordinator's name.
func (r *Reconciler) foreign(have *rbacv1.RoleBinding, accounts []string) {
	if len(accounts) == 0 {
		return
	}
	r.log.Error("a RoleBinding of this name was not created by koordinator, so pod reading is not granted",
		"namespace", have.Namespace, "name", have.Name, "accounts", accounts)
	r.events.Eventf(have, nil, corev1.EventTypeWarning, "NotManaged", "Grant",
		"koordinator needs this name for a RoleBinding of its own: delete this one, or label it %s=%s to hand it over", managedByLabel, managedBy)
}

// binding returns a namespace's RoleBinding for these accounts.
func binding(namespace string, accounts []string) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name: PodReader, Namespace: namespace,
			Labels: map[string]string{managedByLabel: managedBy},
		},
		RoleRef: roleRef(),
	}
	for _, account := range accounts {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account})
	}
	return b
}

// roleRef returns the role of koordinator's RoleBindings.
func roleRef() rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: PodReader}
}
