package fleet

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"koordinator.io/koordinator/wrapper/spec"
)

const annotation = "koordinator.io/status"

// at returns the time that many seconds after the start of the tests.
func at(second int) metav1.Time { return metav1.Unix(1_800_000_000+int64(second), 0) }

// story is a fleet with its clock.
type story struct {
	*Fleet
	second int
}

// newStory returns a fleet that leads and has listed these pods.
func newStory(t *testing.T, byNamespace bool, pods ...*corev1.Pod) *story {
	t.Helper()
	s := &story{Fleet: New(prometheus.NewPedanticRegistry(), annotation, "v1.2.3", byNamespace)}
	s.now = func() time.Time { return at(s.second).Time }
	done := s.Listing()
	for _, p := range pods {
		s.Saw(p)
	}
	done()
	return s
}

// has checks the series of some metrics, one per line, without help and type.
func (s *story) has(t *testing.T, want string, names ...string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Fleet)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var have strings.Builder
	for _, f := range families {
		for _, name := range names {
			if f.GetName() != "koordinator_"+name {
				continue
			}
			for _, m := range f.GetMetric() {
				have.WriteString(name + " ")
				for _, l := range m.GetLabel() {
					fmt.Fprintf(&have, "%s=%s ", l.GetName(), l.GetValue())
				}
				switch {
				case m.GetHistogram() != nil:
					fmt.Fprintf(&have, "%d in %g s\n", m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum())
				case m.GetCounter() != nil:
					fmt.Fprintf(&have, "%g\n", m.GetCounter().GetValue())
				default:
					fmt.Fprintf(&have, "%g\n", m.GetGauge().GetValue())
				}
			}
		}
	}
	if strings.TrimSpace(have.String()) != strings.TrimSpace(want) {
		t.Errorf("at %d s: have\n%s\nwant\n%s", s.second, have.String(), want)
	}
}

// injected returns a pod with a container that waits, one that does not, and one
// that is not wrapped.
func injected(name string) *corev1.Pod {
	env := func(text string) []corev1.EnvVar { return []corev1.EnvVar{{Name: spec.Env, Value: text}} }
	gate := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{spec.Binary, "gate"}}}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name), Annotations: map[string]string{annotation: `{"version":"v1.0.0"}`}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "main", Env: env(`{"version":1,"startDeps":["proxy=ready"]}`), StartupProbe: gate},
			{Name: "proxy", Env: env(`{"version":1}`)},
			{Name: "logs"},
		}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
}

// with returns a pod with a changed status of a container.
func with(p *corev1.Pod, name string, change func(*corev1.ContainerStatus)) *corev1.Pod {
	next := p.DeepCopy()
	next.Status.Phase = corev1.PodRunning
	for i := range next.Status.ContainerStatuses {
		if s := &next.Status.ContainerStatuses[i]; s.Name == name {
			change(s)
			return next
		}
	}
	s := corev1.ContainerStatus{Name: name}
	change(&s)
	next.Status.ContainerStatuses = append(next.Status.ContainerStatuses, s)
	return next
}

// runs returns the status of a container that has been running since that second.
// started specifies whether its startup probe has succeeded.
func runs(second int, started bool) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
			s.RestartCount++
		}
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(second)}}
		s.Started = &started
	}
}

// ended returns the status of a container that ran from one second to another.
func ended(from, to int, code int32, message string) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: at(from), FinishedAt: at(to), ExitCode: code, Message: message}}
		s.Started = new(bool)
	}
}

func TestAContainerThatWaitsAndStarts(t *testing.T) {
	s := newStory(t, true)
	p := injected("a")
	s.Saw(p)
	s.has(t, "containers_waiting pod_namespace=shop 0", "containers_waiting")
	p = with(p, "main", runs(1, false))
	s.Saw(p)
	s.second = 31
	s.Saw(with(injected("b"), "main", runs(20, false)))
	s.has(t, `
container_longest_wait_seconds pod_namespace=shop 30
container_wait_seconds pod_namespace=shop 0 in 0 s
containers_waiting pod_namespace=shop 2
pods pod_namespace=shop version=v1.0.0 2`, "containers_waiting", "container_longest_wait_seconds", "container_wait_seconds", "pods")
	s.second = 41
	p = with(p, "main", runs(1, true))
	s.Saw(p)
	s.Saw(p)
	s.has(t, `
container_longest_wait_seconds pod_namespace=shop 21
container_wait_seconds pod_namespace=shop 1 in 40 s
containers_waiting pod_namespace=shop 1`, "containers_waiting", "container_longest_wait_seconds", "container_wait_seconds")
}

// A wait for the end of another container takes as long as this container runs, so
// it is no reason for an alert.
func TestAWaitForAnExitIsNotLong(t *testing.T) {
	for deps, long := range map[string]bool{
		`["proxy=ready"]`: true, `["proxy=started?"]`: true, `["tcp://db:5432"]`: true, `["http://h/?a=exited"]`: true,
		`["logs=exited"]`: false, `["logs=succeeded?","proxy=exited"]`: false, `["logs=exited","proxy=ready"]`: true,
	} {
		t.Run(deps, func(t *testing.T) {
			s := newStory(t, true)
			p := injected("a")
			p.Spec.Containers[0].Env[0].Value = `{"version":1,"startDeps":` + deps + `,"stopDeps":["proxy=exited"]}`
			s.Saw(with(p, "main", runs(1, false)))
			s.second = 31
			want := "container_longest_wait_seconds pod_namespace=shop 0\ncontainers_waiting pod_namespace=shop 1"
			if long {
				want = "container_longest_wait_seconds pod_namespace=shop 30\ncontainers_waiting pod_namespace=shop 1"
			}
			s.has(t, want, "containers_waiting", "container_longest_wait_seconds")
		})
	}
}

func TestEachIncarnationWaits(t *testing.T) {
	s := newStory(t, true)
	p := with(injected("a"), "main", runs(1, false))
	s.Saw(p)
	s.second = 3
	p = with(p, "main", runs(1, true))
	s.Saw(p)
	p = with(p, "main", ended(1, 10, 1, "the command's own"))
	s.Saw(p)
	s.has(t, "containers_waiting pod_namespace=shop 0", "containers_waiting")
	s.second = 16
	p = with(p, "main", runs(12, false))
	s.Saw(p)
	s.has(t, "containers_waiting pod_namespace=shop 1", "containers_waiting")
	s.Saw(with(p, "main", runs(12, true)))
	s.has(t, "container_wait_seconds pod_namespace=shop 2 in 6 s", "container_wait_seconds")
}

func TestOnlyContainersThatWaitAreCountedAsWaiting(t *testing.T) {
	s := newStory(t, true)
	for _, name := range []string{"proxy", "logs"} {
		s.Saw(with(injected(name), name, runs(1, false)))
	}
	noDeps := injected("no-deps")
	noDeps.Spec.Containers[0].Env[0].Value = `{"version":1}`
	s.Saw(with(noDeps, "main", runs(1, false)))
	s.second = 100
	s.has(t, "containers_waiting pod_namespace=shop 0", "containers_waiting")
}

func TestStartsThatFail(t *testing.T) {
	const own = spec.NotStarted + "proxy can no longer become ready"
	for _, tt := range []struct {
		name string
		end  func(*corev1.ContainerStatus)
		want string // code
		wait string
	}{
		{"bad configuration", ended(1, 1, 64, "koordinator: bad"), "64", "0 in 0 s"},
		{"a dependency", ended(1, 6, 69, own), "69", "1 in 5 s"},
		{"a restart", ended(1, 6, 75, spec.StoppedBy+"proxy exited"), "75", "0 in 0 s"},
		{"a file", ended(1, 6, 78, own), "78", "1 in 5 s"},
		{"the start timeout", ended(1, 61, 124, own), "124", "1 in 60 s"},
		{"a code of the command's own", ended(1, 6, 69, "no more licenses"), "", "0 in 0 s"},
		{"another end by koordinator", ended(1, 6, 143, own), "", "1 in 5 s"},
		{"success", ended(1, 6, 0, ""), "", "0 in 0 s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStory(t, true)
			p := with(injected("a"), "main", runs(1, false))
			s.Saw(p)
			p = with(p, "main", tt.end)
			s.Saw(p)
			s.Saw(with(p, "main", runs(70, false))) // now the end is in the last state
			s.Saw(with(p, "main", runs(70, false)))
			var want strings.Builder
			for _, code := range []string{"124", "64", "69", "75", "78"} {
				n := 0
				if code == tt.want {
					n = 1
				}
				fmt.Fprintf(&want, "container_failures_total code=%s pod_namespace=shop %d\n", code, n)
			}
			s.has(t, want.String(), "container_failures_total")
			s.has(t, "container_wait_seconds pod_namespace=shop "+tt.wait, "container_wait_seconds")
		})
	}
}

func TestTheLastStatusOfAPodCounts(t *testing.T) {
	s := newStory(t, true)
	p := with(injected("a"), "main", runs(1, false))
	s.Saw(p)
	p = with(p, "main", ended(1, 6, 69, spec.NotStarted+"x"))
	p = with(p, "proxy", ended(1, 9, 0, spec.HeldTooLong))
	p.Status.Phase = corev1.PodFailed
	s.Saw(p)
	s.has(t, "holds_expired_total pod_namespace=shop 1", "holds_expired_total", "containers_waiting", "pods")
	q := with(injected("b"), "main", runs(1, false))
	s.Saw(q)
	s.Gone(with(q, "main", ended(1, 6, 69, spec.NotStarted+"x")))
	s.has(t, `
container_failures_total code=124 pod_namespace=shop 0
container_failures_total code=64 pod_namespace=shop 0
container_failures_total code=69 pod_namespace=shop 2
container_failures_total code=75 pod_namespace=shop 0
container_failures_total code=78 pod_namespace=shop 0`, "container_failures_total", "pods")
}

// TestANewLeader checks that a new leader counts the current state, but not
// events that another leader has counted.
func TestANewLeader(t *testing.T) {
	waits := with(injected("a"), "main", runs(1, false))
	failed := with(with(injected("b"), "main", ended(1, 6, 69, spec.NotStarted+"x")), "main", runs(16, true))
	s := newStory(t, false, waits, failed)
	s.second = 31
	s.has(t, `
container_failures_total code=124 0
container_failures_total code=64 0
container_failures_total code=69 0
container_failures_total code=75 0
container_failures_total code=78 0
container_longest_wait_seconds 30
container_wait_seconds 0 in 0 s
containers_waiting 1
pods version=v1.0.0 2`, "containers_waiting", "container_longest_wait_seconds", "container_wait_seconds", "container_failures_total", "pods")
	s.Saw(with(waits, "main", runs(1, true)))
	s.has(t, "container_wait_seconds 1 in 30 s", "container_wait_seconds")
	s.End()
	s.Saw(waits) // a late event
	s.has(t, "build_info version=v1.2.3 1", "build_info", "containers_waiting", "container_longest_wait_seconds", "pods")
}

func TestAListThatIsMadeAgain(t *testing.T) {
	waits, gone := with(injected("a"), "main", runs(1, false)), injected("b")
	s := newStory(t, true, waits, gone)
	s.second = 11
	done := s.Listing()
	s.Saw(with(waits, "main", runs(1, true)))
	done()
	s.has(t, `
container_wait_seconds pod_namespace=shop 1 in 10 s
pods pod_namespace=shop version=v1.0.0 1`, "container_wait_seconds", "pods")
}

func TestLabelsAreBounded(t *testing.T) {
	s := newStory(t, true)
	for i := range maxNamespaces + 10 {
		p := injected(fmt.Sprint(i))
		p.Namespace = fmt.Sprintf("preview-%d", i)
		p.Annotations[annotation] = fmt.Sprintf(`{"version":"v1.0.%d"}`, i)
		s.Saw(p)
	}
	for _, broken := range []string{"", "{", `{"version":"\n"}`, `{"version":"` + strings.Repeat("x", 100) + `"}`} {
		p := injected(broken)
		p.Annotations[annotation] = broken
		s.Saw(p)
	}
	if n := testutil.CollectAndCount(s, "koordinator_containers_waiting"); n != maxNamespaces+1 {
		t.Errorf("%d namespaces, want %d and the others", n, maxNamespaces)
	}
	unlabelled := newStory(t, false)
	for i := range 100 {
		p := injected(fmt.Sprint(i))
		p.Annotations[annotation] = fmt.Sprintf(`{"version":"v1.0.%d"}`, i)
		unlabelled.Saw(p)
	}
	if n := testutil.CollectAndCount(unlabelled, "koordinator_pods"); n != maxVersions+1 {
		t.Errorf("%d versions, want %d and the others", n, maxVersions)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	s := newStory(t, true, with(injected("a"), "main", runs(1, false)))
	problems, err := testutil.CollectAndLint(s)
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// TestMemoryOfAPod bounds the memory for a pod in this package. The leader also
// stores other data about each pod, and needs one KiB in total.
func TestMemoryOfAPod(t *testing.T) {
	const n = 20_000
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	s := newStory(t, true)
	for i := range n {
		p := with(injected(fmt.Sprintf("%032d", i)), "main", runs(1, false))
		p.UID = types.UID(strings.Clone(p.Name))
		s.Saw(p)
	}
	each := (live() - before) / n
	t.Logf("%d bytes for each pod", each)
	if each > 400 {
		t.Errorf("%d bytes for each pod, want 400 at most", each)
	}
	runtime.KeepAlive(s)
}
