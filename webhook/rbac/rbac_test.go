package rbac

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func pod(name, account string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       corev1.PodSpec{ServiceAccountName: account},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

// status is the annotation of injected pods.
const status = "koordinator.io/status"

// with gives a pod a status annotation.
func with(p *corev1.Pod, text string) *corev1.Pod {
	p.Annotations = map[string]string{status: text, "other.io/x": "y"}
	return p
}

// shop returns the namespace, which is enabled.
func shop() *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{EnabledLabel: enabledValue}}}
}

// grants returns the accounts that may read pods in the namespace, or nil without
// a RoleBinding.
func grants(t *testing.T, c client.Client) []string {
	t.Helper()
	var b rbacv1.RoleBinding
	err := c.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: PodReader}, &b)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if b.RoleRef.Kind != "ClusterRole" || b.RoleRef.Name != PodReader {
		t.Errorf("bound to %v", b.RoleRef)
	}
	var names []string
	for _, s := range b.Subjects {
		names = append(names, s.Namespace+"/"+s.Name)
	}
	return names
}

// reconciler returns a Reconciler that knows these pods.
func reconciler(t *testing.T, c client.Client, pods ...*corev1.Pod) (*Reconciler, *events.FakeRecorder) {
	t.Helper()
	known := (&lister{}).informer().GetIndexer()
	for _, p := range pods {
		if err := known.Add(granteeOf(p, status)); err != nil {
			t.Fatal(err)
		}
	}
	recorder := events.NewFakeRecorder(10)
	return &Reconciler{client: c, events: recorder, pods: known, of: selected(t, ""), log: slog.New(slog.DiscardHandler)}, recorder
}

// selected returns the selectors of enabled namespaces and of namespaces in which
// pods may enable koordinator for themselves; "": none.
func selected(t *testing.T, optIn string) Namespaces {
	t.Helper()
	n := Namespaces{Enabled: labels.SelectorFromSet(labels.Set{EnabledLabel: enabledValue}), OptIn: labels.Nothing()}
	if optIn != "" {
		var err error
		if n.OptIn, err = labels.Parse(optIn); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// podsAmong returns the pods among objects, and the other objects.
func podsAmong(objects []client.Object) (pods []*corev1.Pod, rest []client.Object) {
	for _, o := range objects {
		if p, is := o.(*corev1.Pod); is {
			pods = append(pods, p)
		} else {
			rest = append(rest, o)
		}
	}
	return pods, rest
}

func once(r *Reconciler) error {
	_, err := r.Reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "shop"}})
	return err
}

func TestGrants(t *testing.T) {
	elsewhere := pod("x", "x", corev1.PodRunning)
	elsewhere.Namespace = "other"
	stale := binding("shop", []string{"gone"})
	otherRole := binding("shop", []string{"a"})
	otherRole.RoleRef.Name = "admin"
	people := binding("shop", []string{"a"})
	people.Subjects = []rbacv1.Subject{
		{Kind: rbacv1.UserKind, Name: "a"}, {Kind: rbacv1.ServiceAccountKind, Namespace: "other", Name: "a"},
	}
	for _, tt := range []struct {
		name     string
		disabled bool
		objects  []client.Object
		want     []string
	}{
		{name: "nobody needs it"},
		{name: "the default account", objects: []client.Object{pod("p", "", corev1.PodPending)}, want: []string{"shop/default"}},
		{
			name:    "each account once, sorted",
			objects: []client.Object{pod("p", "b", corev1.PodRunning), pod("q", "a", corev1.PodUnknown), pod("r", "b", "")},
			want:    []string{"shop/a", "shop/b"},
		},
		{name: "pods that ask nobody do not", objects: []client.Object{with(pod("p", "a", corev1.PodRunning), `{"wrapped":["x"],"source":"local"}`)}},
		{
			name: "pods that might ask do", objects: []client.Object{
				with(pod("p", "a", corev1.PodRunning), `{"wrapped":["x"]}`), with(pod("q", "b", corev1.PodRunning), `{"source":["local"`),
				with(pod("r", "c", corev1.PodRunning), `{"source":"local"}`), pod("s", "c", corev1.PodRunning),
			},
			want: []string{"shop/a", "shop/b", "shop/c"},
		},
		{name: "pods elsewhere do not", objects: []client.Object{elsewhere}},
		{name: "who is gone is removed", objects: []client.Object{pod("p", "a", corev1.PodRunning), stale}, want: []string{"shop/a"}},
		{name: "a label forged where nothing is enabled", disabled: true, objects: []client.Object{pod("p", "a", corev1.PodRunning)}},
		{
			name: "who has it keeps it when the label is removed", disabled: true,
			objects: []client.Object{pod("p", "a", corev1.PodRunning), pod("q", "b", corev1.PodRunning), binding("shop", []string{"a", "gone"})},
			want:    []string{"shop/a"},
		},
		{
			name: "a binding to another role says of nobody that they have it", disabled: true,
			objects: []client.Object{pod("p", "a", corev1.PodRunning), otherRole},
		},
		{
			name: "nor does one to others of that name", disabled: true,
			objects: []client.Object{pod("p", "a", corev1.PodRunning), people},
		},
		{name: "a binding to another role is made anew", objects: []client.Object{pod("p", "a", corev1.PodRunning), otherRole}, want: []string{"shop/a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			writes := 0
			pods, rest := podsAmong(tt.objects)
			objects := clones(rest)
			if !tt.disabled {
				objects = append(objects, shop())
			}
			c := interceptor.NewClient(fake.NewClientBuilder().WithObjects(objects...).Build(), interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
					writes++
					return c.Create(ctx, o, opts...)
				},
				Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
					writes++
					return c.Update(ctx, o, opts...)
				},
			})
			r, _ := reconciler(t, c, pods...)
			for range 2 {
				if err := once(r); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, grants(t, c)); diff != "" {
					t.Errorf("(-want +have):\n%s", diff)
				}
			}
			if writes > 1 {
				t.Errorf("%d writes, want no more than one for two looks", writes)
			}
		})
	}
}

func clones(objects []client.Object) []client.Object {
	all := make([]client.Object, len(objects))
	for i, o := range objects {
		all[i] = o.DeepCopyObject().(client.Object)
	}
	return all
}

func TestSomebodyElsesBindingIsLeft(t *testing.T) {
	theirs := binding("shop", []string{"theirs"})
	theirs.Labels = nil
	c := fake.NewClientBuilder().WithObjects(shop(), theirs).Build()
	r, recorder := reconciler(t, c, pod("p", "a", corev1.PodRunning))
	if err := once(r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shop/theirs"}, grants(t, c)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	select {
	case <-recorder.Events:
	default:
		t.Error("no event tells it")
	}
}

func TestFaultsAreTriedAgain(t *testing.T) {
	broken := errors.New("broken")
	terminating := &apierrors.StatusError{ErrStatus: metav1.Status{
		Reason: metav1.StatusReasonForbidden, Code: 403,
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}},
	}}
	stale := apierrors.NewAlreadyExists(rbacv1.Resource("rolebindings"), PodReader)
	for _, tt := range []struct {
		name  string
		funcs interceptor.Funcs
		want  error
	}{
		{"get", interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return broken
		}}, broken},
		{"create", interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return broken }}, broken},
		{"a namespace that is going needs no grant", interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return terminating
		}}, nil},
		{"a write for which the cache was too old is no failure", interceptor.Funcs{Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error {
			return stale
		}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := fake.NewClientBuilder().WithObjects(shop()).Build()
			r, _ := reconciler(t, interceptor.NewClient(base, tt.funcs), pod("p", "a", corev1.PodRunning))
			result, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKey{Namespace: "shop"}})
			if !errors.Is(err, tt.want) || (result.RequeueAfter > 0) != strings.Contains(tt.name, "too old") {
				t.Errorf("have %+v, %v, want %v", result, err, tt.want)
			}
		})
	}
}

func TestOnlyAnotherNeedMatters(t *testing.T) {
	asking := granteeOf(pod("p", "a", corev1.PodRunning), status)
	silent := granteeOf(with(pod("p", "a", corev1.PodRunning), `{"source":"local"}`), status)
	if needChanged(event.UpdateEvent{ObjectOld: asking, ObjectNew: asking}) {
		t.Error("a pod that goes on is looked at")
	}
	if !needChanged(event.UpdateEvent{ObjectOld: silent, ObjectNew: asking}) {
		t.Error("a pod that asks now is not looked at")
	}
	if !needChanged(event.UpdateEvent{ObjectOld: &rbacv1.RoleBinding{}, ObjectNew: &rbacv1.RoleBinding{}}) {
		t.Error("a changed RoleBinding is not looked at")
	}
}

func TestStripKeepsWhatIsRead(t *testing.T) {
	fields := []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	meta := metav1.ObjectMeta{Name: "shop", Labels: map[string]string{EnabledLabel: enabledValue}, Annotations: map[string]string{"a": "b"}, ManagedFields: fields}
	namespace, err1 := strip(&metav1.PartialObjectMetadata{ObjectMeta: meta})
	binding, err2 := strip(&rbacv1.RoleBinding{ObjectMeta: meta})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	want := metav1.ObjectMeta{Name: "shop", Labels: meta.Labels}
	if diff := cmp.Diff(&metav1.PartialObjectMetadata{ObjectMeta: want}, namespace); diff != "" {
		t.Errorf("of a namespace (-want +have):\n%s", diff)
	}
	want.Annotations = meta.Annotations
	if diff := cmp.Diff(&rbacv1.RoleBinding{ObjectMeta: want}, binding); diff != "" {
		t.Errorf("of a binding, which is written back (-want +have):\n%s", diff)
	}
}
