package rbac

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	restclient "k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"koordinator.io/koordinator/webhook/fleet"
	"koordinator.io/koordinator/wrapper/spec"
)

// label is the label of injected pods.
const label = "koordinator.io/injected"

// cluster is an API server that contains only injected pods, which it creates
// when they are requested. One third of them has finished.
type cluster struct {
	t    *testing.T
	pods int
	live func() // called before the answer of each page

	mu      sync.Mutex
	largest int // pods in one answer
}

// ServeHTTP answers a list request, in pages and in protobuf. It does not answer
// a watch.
func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if r.URL.Path != "/api/v1/pods" || q.Get("labelSelector") != label+"=true" || q.Get("watch") != "" {
		http.NotFound(w, r)
		return
	}
	selector, err := fields.ParseSelector(q.Get("fieldSelector"))
	if err != nil {
		c.t.Error(err)
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit == 0 || q.Get("resourceVersion") != "" { // a resource version makes the API server ignore the limit
		limit = c.pods
	}
	page := corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}}
	next, _ := strconv.Atoi(q.Get("continue"))
	for ; next < c.pods && len(page.Items) < limit; next++ {
		p := wholePod(next)
		if selector.Matches(fields.Set{"status.phase": string(p.Status.Phase)}) {
			page.Items = append(page.Items, p)
		}
	}
	if next < c.pods {
		page.Continue = strconv.Itoa(next)
	}
	c.mu.Lock()
	c.largest = max(c.largest, len(page.Items))
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
	page.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(&page, w); err != nil && r.Context().Err() == nil {
		c.t.Error(err)
	}
	page.Items = nil
	c.live()
}

// wholePod returns an injected pod with all usual fields.
func wholePod(i int) corev1.Pod {
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			UID: types.UID(fmt.Sprintf("2c4b7a1e-9f2d-4c7b-8a55-%012d", i)), Namespace: fmt.Sprintf("team-%d", i%100), Name: fmt.Sprintf("checkout-6d4cf56db6-%06d", i), ResourceVersion: strconv.Itoa(100000 + i),
			Labels:        map[string]string{label: "true"},
			Annotations:   map[string]string{status: `{"version":"v1.0.0","wrapped":["main","proxy"]}`},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubelet", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 500))}},
		},
		Spec:   corev1.PodSpec{ServiceAccountName: fmt.Sprintf("account-%d", i%7)},
		Status: corev1.PodStatus{Phase: []corev1.PodPhase{corev1.PodRunning, corev1.PodPending, corev1.PodSucceeded}[i%3]},
	}
	for _, name := range []string{"main", "proxy"} {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
			Name: name, Env: []corev1.EnvVar{{Name: spec.Env, Value: `{"startDeps":["proxy"]}` + strings.Repeat("s", 500)}},
		})
	}
	return p
}

// listerOf returns a lister of a cluster.
func listerOf(t *testing.T, c http.Handler) *lister {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	api, err := client.NewWithWatch(&restclient.Config{Host: server.URL, QPS: -1}, client.Options{Scheme: scheme.Scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	return &lister{client: api, label: label, status: status, most: maxPods}
}

// live returns how many bytes are in use after a garbage collection.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // objects that the first one has finalized
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestA30MemoryOfTheLeader counts live bytes, which do not depend on the pace of
// the garbage collector or on the load of the machine.
func TestA30MemoryOfTheLeader(t *testing.T) {
	for _, n := range []int{10_000, 100_000} {
		t.Run(fmt.Sprintf("%d pods", n), func(t *testing.T) {
			before, most, answers := live(), int64(0), 0
			c := &cluster{t: t, pods: n * 3 / 2} // a third has finished
			c.live = func() {
				if answers++; answers%(n/5/pageSize) == 0 {
					most = max(most, live()-before)
				}
			}
			l := listerOf(t, c)
			l.observer = fleet.New(prometheus.NewRegistry(), status, "v1.0.0", true)
			informer := l.informer()
			ctx, stop := context.WithCancel(t.Context())
			var done sync.WaitGroup
			done.Go(func() { informer.RunWithContext(ctx) })
			if !toolscache.WaitForCacheSync(t.Context().Done(), informer.HasSynced) {
				t.Fatal("not synced")
			}
			stop()
			done.Wait()
			have := informer.GetIndexer()
			if count := len(have.ListKeys()); count != n {
				t.Errorf("%d pods are held, want %d", count, n)
			}
			each := (live() - before) / int64(n)
			t.Logf("%d bytes for each pod, %.1f MiB at most while listing", each, float64(most)/(1<<20))
			if each > 1024 {
				t.Errorf("%d bytes for each pod, want 1024 at most", each)
			}
			if bound := int64(n)*1024 + 16<<20; most == 0 || most > bound {
				t.Errorf("%d bytes while listing, want %d at most", most, bound)
			}
			if c.largest > pageSize {
				t.Errorf("%d pods in one answer", c.largest)
			}
			runtime.KeepAlive(have)
			runtime.KeepAlive(l)
		})
	}
}

func TestA30WhatIsKeptOfAPod(t *testing.T) {
	l := listerOf(t, &cluster{t: t, pods: 2, live: func() {}})
	list, err := l.list(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	items, err := meta.ExtractList(list)
	if err != nil || len(items) != 2 {
		t.Fatal(items, err)
	}
	g := items[1].(*grantee)
	if g.Namespace != "team-1" || g.Name != "checkout-6d4cf56db6-000001" || g.ResourceVersion != "100001" || g.account != "account-1" || !g.asks {
		t.Errorf("kept: %+v", g)
	}
}

func TestA30MorePodsThanAreHeldAreAnError(t *testing.T) {
	l := listerOf(t, &cluster{t: t, pods: 30, live: func() {}})
	l.most = 20
	if _, err := l.list(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	p, held := wholePod(30), wholePod(0)
	if e, _ := l.changed(watch.Event{Type: watch.Added, Object: &p}); e.Type != watch.Error {
		t.Errorf("one too many: %v", e.Type)
	}
	l.changed(watch.Event{Type: watch.Deleted, Object: &held})
	if e, _ := l.changed(watch.Event{Type: watch.Added, Object: &p}); e.Type != watch.Added {
		t.Errorf("after another has gone: %v", e.Type)
	}
	l.most = 19
	if _, err := l.list(t.Context(), metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "more than 19 injected pods") {
		t.Errorf("have %v", err)
	}
}
