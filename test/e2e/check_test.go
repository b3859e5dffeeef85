//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"koordinator.io/koordinator/test/setup"
)

// checked returns the tool's report on a namespace and targets in it.
func checked(t *testing.T, code int, ns string, targets ...string) string {
	t.Helper()
	return tool(t, code, append([]string{"check", "-n", ns, "--kubeconfig", cluster.Kubeconfig}, targets...)...)
}

func TestCheckFindsNothingWrongWithTheInstallation(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	text := checked(t, 0, ns)
	for _, want := range []string{
		"√ MutatingWebhookConfiguration koordinator sends pods to service " + setup.Namespace + "/koordinator\n",
		"√ ValidatingWebhookConfiguration koordinator checks workloads when they are applied\n",
		"√ deployment " + setup.Namespace + "/koordinator: 2 of 2 replicas are ready",
		"√ serving certificate issued by ", ", trusted by both configurations\n",
		"√ the namespace is enabled\n", "√ a pod that is created in the namespace is injected (dry run)\n", "No problem was found.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if text := tool(t, 0, "check", "--pre", "--kubeconfig", cluster.Kubeconfig); !strings.Contains(text, "‼ koordinator is installed already") || !strings.Contains(text, "√ you are allowed to create everything") {
		t.Errorf("--pre:\n%s", text)
	}
	var versions struct {
		Webhook  string
		Wrappers map[string]int
	}
	if err := json.Unmarshal([]byte(tool(t, 0, "version", "-o", "json", "-A", "--kubeconfig", cluster.Kubeconfig)), &versions); err != nil || versions.Webhook == "" {
		t.Errorf("versions %+v, %v", versions, err)
	}
}

func TestCheckSaysWhyAPodIsNotInjected(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	apply(t, ns, waitingPod)
	const target = "pod/waits"
	if text := checked(t, 1, ns, target); !strings.Contains(text, "× the namespace is not enabled") || !strings.Contains(text, "× not injected: namespace "+ns+" is not enabled\n") {
		t.Errorf("before the label:\n%s", text)
	}
	eventually(t, "a label that is written in a later second than the pod", func() (bool, string) {
		kubectl(t, "label", "namespace", ns, "koordinator.io/injection-")
		kubectl(t, "label", "namespace", ns, enabled)
		text := checked(t, 1, ns, target)
		return strings.Contains(text, "× not injected: the pod was created before the namespace was enabled\n"), text
	})
	if text := checked(t, 1, ns, target); !strings.Contains(text, "‼ not injected, although annotated: 1 pod (waits)") {
		t.Errorf("after the label:\n%s", text)
	}
}

func TestCheckSaysWhyAJobHasNoPod(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	apply(t, ns, `
apiVersion: batch/v1
kind: Job
metadata: {name: report}
spec:
  suspend: true
  template:
    metadata: {annotations: {koordinator.io/start-deps: "main: prox"}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: 'busybox:1.37', command: ["true"]}, {name: proxy, image: 'busybox:1.37', command: ["true"]}]
`)
	kubectl(t, "label", "namespace", ns, enabled)
	answered(t, ns)
	kubectl(t, "-n", ns, "patch", "job", "report", "-p", `{"spec":{"suspend":false}}`)
	eventually(t, "the event of the rejected pod", func() (bool, string) {
		text := checked(t, 1, ns, "job/report")
		return strings.Contains(text, "× it has no pod: ") && strings.Contains(text, "[KO201]"), text
	})
}

// checkedWithCertManager runs check on a certificate from cert-manager.
func checkedWithCertManager(t *testing.T, ns string) {
	text := checked(t, 0, ns)
	for _, want := range []string{"√ Certificate " + setup.Namespace + "/koordinator is ready (cert-manager)\n", "√ serving certificate issued by koordinator-ca, valid 89 days, trusted by both configurations\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if pre := tool(t, 0, "check", "--pre", "--kubeconfig", cluster.Kubeconfig); !strings.Contains(pre, "√ cert-manager is installed\n") {
		t.Errorf("--pre:\n%s", pre)
	}
}
