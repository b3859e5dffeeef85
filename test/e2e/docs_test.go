//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/docs"
)

// examples returns the YAML blocks of a page of the documentation under a heading of the
// second level. "" selects those before the first such heading.
func examples(t *testing.T, page, section string) []string {
	t.Helper()
	blocks, err := docs.Blocks(filepath.Join(cluster.Root, page))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, b := range blocks {
		if b.Section == section && b.Language == "yaml" {
			all = append(all, b.Text)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s has no YAML block under the heading %q", page, section)
	}
	return all
}

// TestThePodWrittenByHandOfTheDocumentation runs the pod of docs/reference/wrapper.md in a
// namespace without the label, with a role that the test creates.
func TestThePodWrittenByHandOfTheDocumentation(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	kubectl(t, "-n", ns, "create", "serviceaccount", "pod-reader")
	kubectl(t, "-n", ns, "create", "role", "pod-reader", "--verb=list,watch", "--resource=pods")
	kubectl(t, "-n", ns, "create", "rolebinding", "pod-reader", "--role=pod-reader", "--serviceaccount="+ns+":pod-reader")
	ready := strings.Replace(examples(t, "docs/reference/wrapper.md", "Without the webhook")[0], "trap 'exit 0' TERM;", "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs;", 1)
	apply(t, ns, voiced(ready))
	eventually(t, "the pod's end", func() (bool, string) {
		phase := kubectl(t, "-n", ns, "get", "pod", "by-hand", "-o", "jsonpath={.status.phase}")
		return phase == "Succeeded", phase
	})
	main, proxy := logs(t, ns, "by-hand", "main"), logs(t, ns, "by-hand", "proxy")
	inOrder(t,
		moment{"proxy runs", proxy.when(t, "proxy runs")},
		moment{"main runs", main.when(t, "the proxy is ready")},
		moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
}

// TestALabelAloneGrantsNothing labels a pod in a namespace that is not enabled. The pod
// must not get a grant.
func TestALabelAloneGrantsNothing(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	apply(t, ns, strings.Replace(waitingPod, `labels: {e2e: ""}`, `labels: {e2e: "", koordinator.io/injected: "true"}`, 1))
	time.Sleep(3 * time.Second) // proves absence
	if out, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader"); err == nil {
		t.Errorf("granted: %s", out)
	}
}

// TestAGrantComesAndGoesWithThePodsThatNeedIt checks the reconciler's role binding over the
// life of a pod.
func TestAGrantComesAndGoesWithThePodsThatNeedIt(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	kubectl(t, "-n", ns, "create", "serviceaccount", "runner")
	apply(t, ns, strings.Replace(waitingPod, "  restartPolicy: Never", "  restartPolicy: Never\n  serviceAccountName: runner", 1))
	subjects := func() string {
		out, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader", "-o", "jsonpath={.subjects[*].name}")
		if err != nil {
			return err.Error()
		}
		return out
	}
	eventually(t, "the grant", func() (bool, string) { s := subjects(); return s == "runner", s })
	if can, err := try(t, "", "auth", "can-i", "delete", "pods", "-n", ns, "--as=system:serviceaccount:"+ns+":runner"); err == nil {
		t.Errorf("the account may delete pods: %s", can)
	}
	kubectl(t, "label", "namespace", ns, "koordinator.io/injection-") // a running pod still needs it
	if pod := onePod(t, ns, "e2e"); pod.Status.Phase == corev1.PodFailed {
		t.Errorf("the pod failed: %+v", pod.Status)
	}
	if s := subjects(); s != "runner" {
		t.Errorf("the grant was removed with the label: %s", s)
	}
	kubectl(t, "-n", ns, "delete", "pod", "waits")
	eventually(t, "the end of the grant", func() (bool, string) {
		s := subjects()
		return strings.Contains(s, "not found"), s
	})
}
