// Package rbac turns the injected pods of each enabled namespace into one
// RoleBinding, which lets their wrappers read pods. It grants that to the service
// accounts of unfinished pods with the label of injected ones, but for those that
// say in their status annotation that no wrapper of theirs asks the API server.
// Anybody who may create pods there can set that label, so it is worth no more
// than that: in a namespace that has not been enabled it grants nothing.
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
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
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

// The label by which a RoleBinding is known to be ours.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "koordinator"
)

// The label that opts a namespace in.
const (
	enabledLabel = "koordinator.io/injection"
	enabledValue = "enabled"
)

// local is what a pod's status annotation has as source where no wrapper asks
// the API server.
const local = "local"

// defaultAccount is the service account of a pod that names none.
const defaultAccount = "default"

// syncTimeout is how long the first list may take, of as many pods as are held.
const syncTimeout = 10 * time.Minute

// Reconciler keeps each namespace's RoleBinding as its pods need it.
type Reconciler struct {
	client client.Client
	events events.EventRecorder
	pods   toolscache.Indexer // grantees by namespace
	log    *slog.Logger
}

// Cache limits what the manager's cache holds to what the reconciler reads: the
// RoleBindings of koordinator's name, and of namespaces the labels.
func Cache() cache.Options {
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.RoleBinding{}: {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, PodReader)},
		},
		DefaultTransform: strip,
	}
}

// strip forgets what nobody reads and what can be larger than the rest.
func strip(object any) (any, error) {
	if o, ok := object.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	if m, ok := object.(*metav1.PartialObjectMetadata); ok {
		m.SetAnnotations(nil)
	}
	return object, nil
}

// Add has the manager run a reconciler, on the leader only. label is the one
// that injected pods carry, status the annotation, a JSON object with their
// source.
func Add(mgr manager.Manager, label, status string, log *slog.Logger) error {
	api, err := client.NewWithWatch(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return fmt.Errorf("set up a client: %w", err)
	}
	informer := (&lister{client: api, label: label, status: status, most: maxPods}).informer()
	r := &Reconciler{client: mgr.GetClient(), events: mgr.GetEventRecorder(managedBy), pods: informer.GetIndexer(), log: log}
	byNamespace := handler.EnqueueRequestsFromMapFunc(namespaceOf)
	return builder.ControllerManagedBy(mgr).
		Named("rbac").
		WithOptions(controller.Options{CacheSyncTimeout: syncTimeout}).
		WatchesRawSource(&pods{informer: informer, Informer: source.Informer{
			Informer: informer, Handler: byNamespace, Predicates: []predicate.Predicate{predicate.Funcs{UpdateFunc: needChanged}},
		}}).
		Watches(&rbacv1.RoleBinding{}, byNamespace).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(itself)).
		Complete(r)
}

// namespaceOf asks for a look at an object's namespace.
func namespaceOf(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace()}}}
}

// itself asks for a look at the namespace that the object is.
func itself(_ context.Context, object client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetName()}}}
}

// needChanged lets through the updates after which a pod needs another grant.
func needChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*grantee)
	after, ok2 := e.ObjectNew.(*grantee)
	return !ok1 || !ok2 || before.asks != after.asks
}

// Reconcile makes one namespace's RoleBinding what it should be. Where the
// namespace is not enabled, or not any more, who has the grant keeps it as long
// as a pod needs it, and nobody else gets it.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	if err := r.reconcile(ctx, req.Namespace); err != nil {
		return reconcile.Result{}, fmt.Errorf("grant pod reading in namespace %s: %w", req.Namespace, err)
	}
	return reconcile.Result{}, nil
}

func (r *Reconciler) reconcile(ctx context.Context, namespace string) error {
	accounts, err := r.accounts(namespace)
	if err != nil {
		return err
	}
	var have rbacv1.RoleBinding
	err = r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: PodReader}, &have)
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	enabled, err := r.enabled(ctx, namespace)
	if err != nil {
		return err
	}
	if !enabled {
		before := granted(&have)
		accounts = slices.DeleteFunc(accounts, func(a string) bool { return !slices.Contains(before, a) })
	}
	if missing {
		return r.create(ctx, namespace, accounts)
	}
	return r.change(ctx, &have, accounts)
}

// accounts are the service accounts in need of the grant, sorted.
func (r *Reconciler) accounts(namespace string) ([]string, error) {
	objects, err := r.pods.ByIndex(toolscache.NamespaceIndex, namespace)
	if err != nil {
		return nil, fmt.Errorf("find injected pods in namespace %s: %w", namespace, err)
	}
	needed := map[string]bool{}
	for _, o := range objects {
		if g, ok := o.(*grantee); ok && g.asks {
			needed[g.account] = true
		}
	}
	return slices.Sorted(maps.Keys(needed)), nil
}

// enabled reports whether a namespace has opted in.
func (r *Reconciler) enabled(ctx context.Context, namespace string) (bool, error) {
	ns := metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}}
	if err := r.client.Get(ctx, client.ObjectKey{Name: namespace}, &ns); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return ns.Labels[enabledLabel] == enabledValue, nil
}

// granted are the accounts of its namespace to which a RoleBinding grants pod
// reading. One to another role grants none, whoever made it: nobody is to get
// more by a binding of our name than by what stands in it.
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
	case have.RoleRef != want.RoleRef: // which cannot be changed
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

// delete removes the RoleBinding as it was read, and not one that someone
// made since.
func (r *Reconciler) delete(ctx context.Context, have *rbacv1.RoleBinding) error {
	as := client.Preconditions{UID: &have.UID, ResourceVersion: &have.ResourceVersion}
	return client.IgnoreNotFound(r.client.Delete(ctx, have, as))
}

// foreign says that a RoleBinding of our name is somebody else's.
func (r *Reconciler) foreign(have *rbacv1.RoleBinding, accounts []string) {
	if len(accounts) == 0 {
		return
	}
	r.log.Error("a RoleBinding of our name is not ours, pod reading is not granted",
		"namespace", have.Namespace, "name", have.Name, "accounts", accounts)
	r.events.Eventf(have, nil, corev1.EventTypeWarning, "NotManaged", "Grant",
		"koordinator needs this name for a RoleBinding of its own: delete this one, or label it %s=%s to hand it over", managedByLabel, managedBy)
}

// binding is a namespace's RoleBinding for these accounts.
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

// roleRef is the role of every RoleBinding of ours.
func roleRef() rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: PodReader}
}
