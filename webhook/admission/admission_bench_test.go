package admission

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"runtime"
	"slices"
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

// typical is a Job's pod with a database proxy, as JSON: a golden case.
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

// creation is the question about a new pod.
func creation(raw []byte) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Namespace: "shop", Operation: admissionv1.Create,
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:   k8sruntime.RawExtension{Raw: raw},
	}}
}

// answer has a webhook answer a question again and again, the patch written
// out each time.
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

// processorTime reports, when it is called again, what a round took of all
// processors: it does not hang on what else the machine does, and the garbage
// collector is in it.
func processorTime(b *testing.B) func() {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	runtime.GC() // leaves nothing of earlier rounds
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// unasked is a pod without its annotations.
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

// outcome is a pod after our patch.
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

// finished is a defaulter that is handed the pod it is to make: all it costs
// is what its framework costs.
type finished struct{ pod corev1.Pod }

// Default implements admission.Defaulter.
func (f finished) Default(_ context.Context, pod *corev1.Pod) error {
	*pod = f.pod
	return nil
}

// BenchmarkAdmission answers questions without a server. "defaulter" is another
// way to make the same change, and "decode" the least that any way costs.
func BenchmarkAdmission(b *testing.B) {
	raw := typical(b)
	h := testHandler()
	h.log = slog.New(slog.NewJSONHandler(io.Discard, nil)) // a line for each pod is written
	b.Run("typical", func(b *testing.B) { answer(b, h, raw) })
	b.Run("unasked", func(b *testing.B) { answer(b, h, unasked(b, raw)) })
	b.Run("defaulter", func(b *testing.B) {
		var f finished
		if err := json.Unmarshal(outcome(b, raw), &f.pod); err != nil {
			b.Fatal(err)
		}
		answer(b, admission.WithDefaulter(scheme.Scheme, f).Handler, raw)
	})
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
