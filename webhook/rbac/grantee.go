package rbac

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// pageSize is how many whole pods are in memory at a time while pods are listed.
const pageSize = 200

// maxPods is how many pods are kept at most. It follows from the leader's share
// of the memory that the chart gives to a replica. Beyond it, grants stay as they
// are, and admission, which shares the process, continues.
const maxPods = 150_000

// unfinished selects the pods whose wrappers may still send requests to the API
// server. It applies to lists only: a watch must also contain finished pods to
// show how a pod finished. For the informer, a finished pod is a deleted pod.
var unfinished = fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)

// grantee is the stored state of an injected pod.
type grantee struct {
	metav1.TypeMeta
	metav1.ObjectMeta // namespace, name and resource version

	account string // service account
	asks    bool   // a wrapper in it may send requests to the API server, now or later
	optsIn  bool   // it has the label that enables koordinator for it
}

// DeepCopyObject implements runtime.Object.
func (g *grantee) DeepCopyObject() runtime.Object {
	next := *g
	return &next
}

// granteeOf returns the part of a pod that the reconciler reads. status is the
// annotation of injected pods. Names that many pods share are stored once.
func granteeOf(pod *corev1.Pod, status string) *grantee {
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = defaultAccount
	}
	return &grantee{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: unique.Make(pod.Namespace).Value(), Name: pod.Name, ResourceVersion: pod.ResourceVersion,
		},
		account: unique.Make(account).Value(), asks: asks(pod.Annotations[status]),
		optsIn: pod.Labels[EnabledLabel] == enabledValue,
	}
}

// asks reports whether, according to the status annotation, a wrapper may send
// requests to the API server.
func asks(annotation string) bool {
	var status struct {
		Source string `json:"source"`
	}
	err := json.Unmarshal([]byte(annotation), &status)
	return err != nil || status.Source != local
}

// Observer receives the whole pods, of which the reconciler stores only a small
// part. Its methods are called one at a time and must not keep the pod.
type Observer interface {
	// Listing begins a list. Saw is called for each pod of the list, then done. done
	// is not called if the list fails.
	Listing() (done func())
	// Saw receives a pod that exists or has just finished.
	Saw(*corev1.Pod)
	// Gone receives the last state of a deleted pod.
	Gone(*corev1.Pod)
}

// lister lists and watches injected pods. It reduces each pod to its grantee
// before it reads the next page.
type lister struct {
	client client.WithWatch
	label  string // of injected pods
	status string // annotation of injected pods
	most   int    // maximum number of pods that are kept

	observer Observer // nil: none

	mu   sync.Mutex
	held map[types.UID]struct{}
}

// informer returns the store of the grantees, which keeps itself up to date.
func (l *lister) informer() toolscache.SharedIndexInformer {
	lw := &toolscache.ListWatch{ListWithContextFunc: l.list, WatchFuncWithContext: l.watch}
	return toolscache.NewSharedIndexInformer(toolscache.ToListWatcherWithWatchListSemantics(lw, l), &grantee{}, 0,
		toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
}

// IsWatchListSemanticsUnSupported returns true, so that the informer lists in
// pages, which every version of Kubernetes supports.
func (l *lister) IsWatchListSemanticsUnSupported() bool { return true }

// options returns options that select the pods. raw are the options of the
// informer.
func (l *lister) options(raw metav1.ListOptions) *client.ListOptions {
	return &client.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{l.label: "true"}), Raw: &raw}
}

// list reads all pods, page by page. It sets no resource version, because the API
// server ignores the limit if one is set.
func (l *lister) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	all := &metainternalversion.List{}
	held := map[types.UID]struct{}{}
	options := l.options(metav1.ListOptions{})
	options.Limit, options.FieldSelector = pageSize, unfinished
	observed := func() {}
	if l.observer != nil {
		observed = l.observer.Listing()
	}
	for {
		var page corev1.PodList
		if err := l.client.List(ctx, &page, options); err != nil {
			return nil, err
		}
		for i := range page.Items {
			pod := &page.Items[i]
			all.Items = append(all.Items, granteeOf(pod, l.status))
			held[pod.UID] = struct{}{}
			if l.observer != nil {
				l.observer.Saw(pod)
			}
		}
		if len(all.Items) > l.most {
			return nil, l.tooMany()
		}
		if options.Continue = page.Continue; page.Continue == "" {
			all.ResourceVersion = page.ResourceVersion
			observed()
			l.mu.Lock()
			l.held = held
			l.mu.Unlock()
			return all, nil
		}
	}
}

// watch reads the changes of pods.
func (l *lister) watch(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
	w, err := l.client.Watch(ctx, &corev1.PodList{}, l.options(raw))
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, l.changed), nil
}

// changed replaces an event's pod by its grantee. It reports a finished pod as
// deleted and drops later events of that pod. One pod above the limit ends the
// watch.
func (l *lister) changed(e watch.Event) (watch.Event, bool) {
	pod, is := e.Object.(*corev1.Pod)
	if !is || e.Type == watch.Bookmark {
		return e, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, held := l.held[pod.UID]
	e.Object = granteeOf(pod, l.status)
	switch {
	case e.Type == watch.Deleted || finished(pod):
		delete(l.held, pod.UID)
		if held {
			l.observe(e.Type, pod)
		}
		e.Type = watch.Deleted
		return e, held
	case !held && len(l.held) >= l.most:
		return watch.Event{Type: watch.Error, Object: &metav1.Status{
			Status: metav1.StatusFailure, Reason: metav1.StatusReasonRequestEntityTooLarge, Message: l.tooMany().Error(),
		}}, true
	case !held:
		l.held[pod.UID] = struct{}{}
	}
	l.observe(e.Type, pod)
	return e, true
}

// observe notifies the observer of an event.
func (l *lister) observe(event watch.EventType, pod *corev1.Pod) {
	switch {
	case l.observer == nil:
	case event == watch.Deleted:
		l.observer.Gone(pod)
	default:
		l.observer.Saw(pod)
	}
}

// finished reports whether no container of a pod will run again.
func finished(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func (l *lister) tooMany() error {
	return fmt.Errorf("there are more than %d injected pods that have not finished: grants stay as they are, new pods with source: pod wait for one", l.most)
}

// pods is the controller's source of grantees. Unlike the manager's cache, it
// never holds a list of whole pods.
type pods struct {
	source.Informer

	informer toolscache.SharedIndexInformer
}

// Start implements source.Source.
func (p *pods) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	if err := p.Informer.Start(ctx, queue); err != nil {
		return err
	}
	go p.informer.RunWithContext(ctx)
	return nil
}

// WaitForSync implements source.SyncingSource. Without it, grants that are needed
// would be revoked before all pods are known.
func (p *pods) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		return fmt.Errorf("list injected pods: %w", ctx.Err())
	}
	return nil
}
