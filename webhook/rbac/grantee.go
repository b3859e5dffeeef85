package rbac

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// pageSize is how many pods are in memory in full at a time while they are
// listed.
const pageSize = 200

// maxPods is how many pods are held at most: the leader's part of the memory
// that the chart gives to a replica. Beyond it, grants stay as they are, and
// admission, which shares the process, goes on.
const maxPods = 150_000

// unfinished selects the pods that may still ask the API server. The others
// leave the watch as if they had been deleted.
var unfinished = fields.AndSelectors(
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodSucceeded)),
	fields.OneTermNotEqualSelector("status.phase", string(corev1.PodFailed)),
)

// grantee is what is kept of an injected pod.
type grantee struct {
	metav1.TypeMeta
	metav1.ObjectMeta // namespace, name and resource version

	account string // service account
	asks    bool   // a wrapper in it may ask the API server, now or later
}

// DeepCopyObject implements runtime.Object.
func (g *grantee) DeepCopyObject() runtime.Object {
	next := *g
	return &next
}

// granteeOf keeps of a pod what the reconciler reads. status is the annotation
// of injected pods. Names that many pods share are kept once.
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
	}
}

// asks reports whether a status annotation leaves it open that a wrapper asks
// the API server.
func asks(annotation string) bool {
	var status struct {
		Source string `json:"source"`
	}
	err := json.Unmarshal([]byte(annotation), &status)
	return err != nil || status.Source != local
}

// lister lists and watches injected pods, and lets go of each but for its
// grantee before it reads the next page.
type lister struct {
	client client.WithWatch
	label  string // of injected pods
	status string // annotation of injected pods
	most   int64  // pods that are held

	held atomic.Int64
}

// informer is the store of the grantees, and what keeps it up to date.
func (l *lister) informer() toolscache.SharedIndexInformer {
	lw := &toolscache.ListWatch{ListWithContextFunc: l.list, WatchFuncWithContext: l.watch}
	return toolscache.NewSharedIndexInformer(toolscache.ToListWatcherWithWatchListSemantics(lw, l), &grantee{}, 0,
		toolscache.Indexers{toolscache.NamespaceIndex: toolscache.MetaNamespaceIndexFunc})
}

// IsWatchListSemanticsUnSupported has the informer list in pages, which every
// version of Kubernetes can do.
func (l *lister) IsWatchListSemanticsUnSupported() bool { return true }

// options select the pods. raw are the informer's own.
func (l *lister) options(raw metav1.ListOptions) *client.ListOptions {
	return &client.ListOptions{
		LabelSelector: labels.SelectorFromSet(labels.Set{l.label: "true"}), FieldSelector: unfinished, Raw: &raw,
	}
}

// list reads all pods, page by page. It asks for no resource version, since the
// API server ignores the limit where it is asked for any.
func (l *lister) list(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	all := &metainternalversion.List{}
	options := l.options(metav1.ListOptions{})
	options.Limit = pageSize
	for {
		var page corev1.PodList
		if err := l.client.List(ctx, &page, options); err != nil {
			return nil, err
		}
		for i := range page.Items {
			all.Items = append(all.Items, granteeOf(&page.Items[i], l.status))
		}
		if n := int64(len(all.Items)); n > l.most {
			return nil, l.tooMany()
		}
		if options.Continue = page.Continue; page.Continue == "" {
			all.ResourceVersion = page.ResourceVersion
			l.held.Store(int64(len(all.Items)))
			return all, nil
		}
	}
}

// watch reads what changes.
func (l *lister) watch(ctx context.Context, raw metav1.ListOptions) (watch.Interface, error) {
	w, err := l.client.Watch(ctx, &corev1.PodList{}, l.options(raw))
	if err != nil {
		return nil, err
	}
	return watch.Filter(w, l.changed), nil
}

// changed turns an event's pod into its grantee. One pod too many ends the
// watch.
func (l *lister) changed(e watch.Event) (watch.Event, bool) {
	pod, is := e.Object.(*corev1.Pod)
	if !is {
		return e, true
	}
	switch e.Type {
	case watch.Added:
		if l.held.Add(1) > l.most {
			return watch.Event{Type: watch.Error, Object: &metav1.Status{
				Status: metav1.StatusFailure, Reason: metav1.StatusReasonRequestEntityTooLarge, Message: l.tooMany().Error(),
			}}, true
		}
	case watch.Deleted:
		l.held.Add(-1)
	}
	e.Object = granteeOf(pod, l.status)
	return e, true
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

// WaitForSync implements source.SyncingSource: before all pods are known,
// grants would be revoked that are needed.
func (p *pods) WaitForSync(ctx context.Context) error {
	if !toolscache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		return fmt.Errorf("list injected pods: %w", ctx.Err())
	}
	return nil
}
