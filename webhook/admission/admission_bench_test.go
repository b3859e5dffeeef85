package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	k8sjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"
)

// typical returns a Job's pod with a database proxy, as JSON, from a golden case.
func typical(b *testing.B) []byte {
	b.Helper()
	archive, err := txtar.ParseFile("testdata/inject/job-with-proxy.txtar")
	if err != nil {
		b.Fatal(err)
	}
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "pod.yaml" })
	raw, err := yaml.YAMLToJSONStrict(archive.Files[i].Data)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// creation returns the admission request for a new pod.
func creation(raw []byte) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create,
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:   k8sruntime.RawExtension{Raw: raw},
	}}
}

// answer makes a webhook answer a request repeatedly. The patch is encoded each
// time.
func answer(b *testing.B, h admission.Handler, raw []byte) {
	b.Helper()
	hook := &admission.Webhook{Handler: h}
	b.ReportAllocs()
	var took []time.Duration
	defer processorTime(b)()
	for b.Loop() {
		began := time.Now()
		if resp := hook.Handle(context.Background(), creation(raw)); !resp.Allowed {
			b.Fatal(resp.Result.Message)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2]), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
}

// processorTime returns a function that reports the CPU time per operation since
// the call of processorTime. That time does not depend on other load of the
// machine, and it includes the garbage collector.
func processorTime(b *testing.B) func() {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	runtime.GC() // leave nothing of earlier rounds
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// unasked returns a pod without its annotations.
func unasked(b *testing.B, raw []byte) []byte {
	b.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		b.Fatal(err)
	}
	pod.Annotations = map[string]string{"example.com/note": "none of ours"}
	out, err := json.Marshal(&pod)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// chained returns a pod in which each container waits for the one before, and
// stops after it.
func chained(b *testing.B, n int) []byte {
	b.Helper()
	var starts, stops strings.Builder
	pod := corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever}}
	for i := range n {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "app:1", Command: []string{"/app"}})
		if i > 0 {
			fmt.Fprintf(&starts, "c%d: c%d=started\n", i, i-1)
			fmt.Fprintf(&stops, "c%d: c%d\n", i, i-1)
		}
	}
	pod.Annotations = map[string]string{"koordinator.io/start-deps": starts.String(), "koordinator.io/stop-deps": stops.String()}
	out, err := json.Marshal(&pod)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// outcome returns a pod after koordinator's patch.
func outcome(b *testing.B, raw []byte) []byte {
	b.Helper()
	hook := &admission.Webhook{Handler: testHandler()}
	patch, err := jsonpatch.DecodePatch(hook.Handle(context.Background(), creation(raw)).Patch)
	if err != nil {
		b.Fatal(err)
	}
	out, err := patch.Apply(raw)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// finished is a defaulter that only returns a prepared pod, so it measures the
// cost of its framework.
type finished struct{ pod corev1.Pod }

// Default implements admission.Defaulter.
func (f finished) Default(_ context.Context, pod *corev1.Pod) error {
	*pod = f.pod
	return nil
}

// BenchmarkAdmission answers requests without a server. "defaulter" is another
// way to make the same change, and "decode" is the minimum cost of any way.
func BenchmarkAdmission(b *testing.B) {
	raw := typical(b)
	h := testHandler()
	h.log = slog.New(slog.NewJSONHandler(io.Discard, nil)) // writes a log line for each pod
	b.Run("typical", func(b *testing.B) { answer(b, h, raw) })
	b.Run("unasked", func(b *testing.B) { answer(b, h, unasked(b, raw)) })
	b.Run("defaulter", func(b *testing.B) {
		var f finished
		if err := json.Unmarshal(outcome(b, raw), &f.pod); err != nil {
			b.Fatal(err)
		}
		answer(b, admission.WithDefaulter(scheme.Scheme, f).Handler, raw)
	})
	for _, n := range []int{2, 10, 50, 200} {
		b.Run(fmt.Sprintf("%d-containers", n), func(b *testing.B) { answer(b, h, chained(b, n)) })
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		defer processorTime(b)()
		for b.Loop() {
			var pod corev1.Pod
			if err := k8sjson.Unmarshal(raw, &pod); err != nil {
				b.Fatal(err)
			}
		}
	})
}
