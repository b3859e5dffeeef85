package rbac

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// witness records the calls of an observer.
type witness struct{ told []string }

func (w *witness) Listing() func() {
	w.told = append(w.told, "list")
	return func() { w.told = append(w.told, "listed") }
}

func (w *witness) Saw(p *corev1.Pod) {
	w.told = append(w.told, "saw "+p.Name[len(p.Name)-1:]+" "+string(p.Status.Phase))
}
func (w *witness) Gone(p *corev1.Pod) { w.told = append(w.told, "gone "+p.Name[len(p.Name)-1:]) }

// TestAPodThatFinishesIsSeenOnce checks that the observer sees a finished pod,
// although the informer treats it as deleted: only then does its status contain
// the exit codes of its containers.
func TestAPodThatFinishesIsSeenOnce(t *testing.T) {
	l, w := listerOf(t, &cluster{t: t, pods: 3, live: func() {}}), &witness{}
	l.observer = w
	if _, err := l.list(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	type passed struct {
		Type watch.EventType
		OK   bool
	}
	var have []passed
	send := func(event watch.EventType, i int, phase corev1.PodPhase) {
		p := wholePod(i)
		p.Status.Phase = phase
		e, ok := l.changed(watch.Event{Type: event, Object: &p})
		have = append(have, passed{e.Type, ok})
	}
	send(watch.Modified, 0, corev1.PodRunning)
	send(watch.Modified, 0, corev1.PodFailed)
	send(watch.Modified, 0, corev1.PodFailed) // a finalizer is removed
	send(watch.Deleted, 0, corev1.PodFailed)
	send(watch.Deleted, 1, corev1.PodPending)
	send(watch.Modified, 2, corev1.PodSucceeded) // it had finished before the list
	send(watch.Added, 6, corev1.PodRunning)
	send(watch.Bookmark, 7, "")
	want := []passed{
		{watch.Modified, true},
		{watch.Deleted, true},
		{watch.Deleted, false},
		{watch.Deleted, false},
		{watch.Deleted, true},
		{watch.Deleted, false},
		{watch.Added, true},
		{watch.Bookmark, true},
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("events (-want +have):\n%s", diff)
	}
	told := []string{"list", "saw 0 Running", "saw 1 Pending", "listed", "saw 0 Running", "saw 0 Failed", "gone 1", "saw 6 Running"}
	if diff := cmp.Diff(told, w.told); diff != "" {
		t.Errorf("told (-want +have):\n%s", diff)
	}
}
