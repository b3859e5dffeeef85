package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// running returns an injected pod whose wrapper has a version.
func running(name, version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: name, Labels: map[string]string{"koordinator.io/injected": "true"}, Annotations: map[string]string{"koordinator.io/status": `{"version":"` + version + `"}`},
	}}
}

func TestVersions(t *testing.T) {
	for name, test := range map[string]struct {
		provoke func(*world)
		own     string
		want    Versions
		text    string
	}{
		"all the same": {
			func(w *world) { w.more = []client.Object{running("a", "v1.2.3")} }, "v1.2.3",
			Versions{Client: "v1.2.3", Webhook: "v1.2.3", Wrappers: map[string]int{"v1.2.3": 1}},
			"webhook: v1.2.3\nwrappers: v1.2.3 (1 pod)\n",
		},
		"differences": {
			func(w *world) {
				w.more = []client.Object{running("a", "v1.2.3"), running("b", "v1.1.0"), running("c", "v1.1.0")}
			}, "v1.3.0",
			Versions{Client: "v1.3.0", Webhook: "v1.2.3", Wrappers: map[string]int{"v1.1.0": 2, "v1.2.3": 1}, Notes: []string{
				"the client is v1.3.0 and the webhook is v1.2.3: lint, inject and simulate may differ from what the webhook does. Use the client of the same version",
				"wrappers in 2 pods have another version than the webhook: a pod keeps the wrapper with which it was created",
			}},
			"webhook: v1.2.3\nwrappers: v1.1.0 (2 pods), v1.2.3 (1 pod)\n",
		},
		"not allowed": {
			func(w *world) {
				w.denied = []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}, &corev1.Pod{}}
			}, "v1.2.3",
			Versions{Client: "v1.2.3", Wrappers: map[string]int{}, Notes: []string{
				"version of the webhook: not checked: the installation (MutatingWebhookConfigurations)", "versions of wrappers: you are not allowed to list pods",
			}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := healthy(t)
			test.provoke(w)
			have, err := w.checker(t).Versions(t.Context(), test.own, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if have.Text() != test.text {
				t.Errorf("text %q, want %q", have.Text(), test.text)
			}
		})
	}
}
