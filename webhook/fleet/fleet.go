// Package fleet counts events in injected pods: how many containers wait and for
// how long, which starts failed, and which version of the wrapper runs. It reads
// nothing itself; the code that watches the pods notifies it. It sees only the
// status that the kubelet writes, so its counts have the same delay and
// resolution, about a second.
package fleet

import (
	"encoding/json"
	"sync"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fleet counts pods. Every replica has one, but only the leader's is notified of
// pods, from the first Listing until End. Fleet implements prometheus.Collector.
// It is safe for concurrent use.
type Fleet struct {
	status string // annotation of injected pods: a JSON object with their version
	now    func() time.Time
	metrics

	mu      sync.Mutex
	leading bool
	listing bool   // Saw is called for the pods of a list
	list    uint64 // number of the current list
	pods    map[types.UID]*pod
}

// pod is the stored state of an injected pod that has not finished.
type pod struct {
	namespace, version unique.Handle[string]
	containers         []container // wrapped ones
	list               uint64      // last list that contained it
}

// New returns a fleet that registers its metrics. status is the annotation of
// injected pods, and version is the version of this program. Without byNamespace,
// no metric has a namespace label.
func New(registry prometheus.Registerer, status, version string, byNamespace bool) *Fleet {
	f := &Fleet{status: status, now: time.Now, metrics: newMetrics(version, byNamespace), pods: map[types.UID]*pod{}}
	registry.MustRegister(f)
	return f
}

// End ends the term. Events that another leader counts after that are not counted
// here.
func (f *Fleet) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leading = false
	clear(f.pods)
}

// Listing begins a list of all pods, and with it this replica's term as the
// leader. The caller passes each pod to Saw and then calls done. Events of a pod
// before it first appears in a list were counted by an earlier leader.
func (f *Fleet) Listing() (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.leading, f.listing = true, true
	f.list++
	return f.listed
}

// listed ends a list and drops the pods that were not in it, because they are
// gone.
func (f *Fleet) listed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listing = false
	for uid, p := range f.pods {
		if p.list != f.list {
			delete(f.pods, uid)
		}
	}
}

// Saw records the current state of a pod.
func (f *Fleet) Saw(p *corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.leading {
		return
	}
	have, known := f.pods[p.UID]
	if !known {
		have = f.podOf(p)
		f.pods[p.UID] = have
	}
	have.list = f.list
	for i := range have.containers {
		c := &have.containers[i]
		for _, e := range c.advance(statusOf(p, c.name.Value()), f.now(), !known && f.listing) {
			f.count(have.namespace.Value(), e)
		}
	}
	if finished(p) {
		delete(f.pods, p.UID)
	}
}

// Gone records the last state of a deleted pod and drops it.
func (f *Fleet) Gone(p *corev1.Pod) {
	f.Saw(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.pods, p.UID)
}

// podOf returns the initial stored state of a pod.
func (f *Fleet) podOf(p *corev1.Pod) *pod {
	var status struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal([]byte(p.Annotations[f.status]), &status); err != nil {
		status.Version = "" // users can change the annotation
	}
	namespace := f.namespace(p.Namespace)
	f.known(namespace)
	return &pod{
		namespace:  unique.Make(namespace),
		version:    unique.Make(f.version(status.Version)),
		containers: wrapped(p.Spec),
	}
}

// finished reports whether no container of a pod will run again.
func finished(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// statusOf returns the status of a pod's container, or an empty status if there
// is none.
func statusOf(p *corev1.Pod, name string) corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return list[i]
			}
		}
	}
	return corev1.ContainerStatus{}
}
