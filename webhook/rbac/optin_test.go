package rbac

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// optedIn returns a running pod with the label that enables koordinator for it.
func optedIn(name, account string) *corev1.Pod {
	p := pod(name, account, corev1.PodRunning)
	p.Labels = map[string]string{EnabledLabel: enabledValue}
	return p
}

func TestPodsThatEnableKoordinatorForThemselves(t *testing.T) {
	const allowed = EnabledLabel + " notin (enabled,disabled),kubernetes.io/metadata.name notin (kube-system)"
	other := optedIn("q", "b")
	other.Labels[EnabledLabel] = "yes"
	for _, tt := range []struct {
		name, optIn string
		labels      map[string]string // of the namespace
		pods        []*corev1.Pod
		want        []string
	}{
		{"where the operator allows it", allowed, nil, []*corev1.Pod{optedIn("p", "a"), pod("q", "b", corev1.PodRunning)}, []string{"shop/a"}},
		{"with another value", allowed, nil, []*corev1.Pod{other}, nil},
		{"where the operator does not", "", nil, []*corev1.Pod{optedIn("p", "a")}, nil},
		{"in a namespace that is disabled", allowed, map[string]string{EnabledLabel: "disabled"}, []*corev1.Pod{optedIn("p", "a")}, nil},
		{"in an excluded namespace", allowed, map[string]string{corev1.LabelMetadataName: "kube-system"}, []*corev1.Pod{optedIn("p", "a")}, nil},
		{"in an enabled namespace", allowed, map[string]string{EnabledLabel: enabledValue}, []*corev1.Pod{optedIn("p", "a"), pod("q", "b", corev1.PodRunning)}, []string{"shop/a", "shop/b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ns := shop()
			ns.Labels = tt.labels
			c := fake.NewClientBuilder().WithObjects(ns).Build()
			r, _ := reconciler(t, c, tt.pods...)
			r.of = selected(t, tt.optIn)
			if err := once(r); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, grants(t, c)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestALabelThatComesLaterIsNoticed(t *testing.T) {
	before, after := granteeOf(pod("p", "a", corev1.PodRunning), status), granteeOf(optedIn("p", "a"), status)
	if !needChanged(event.UpdateEvent{ObjectOld: before, ObjectNew: after}) {
		t.Error("the label changes who needs a grant, and nothing looks at it")
	}
}
