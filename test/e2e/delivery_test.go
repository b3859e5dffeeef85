//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestDeliveryByImageVolume runs while no other test runs, because it changes the only
// installation, and restores it.
func TestDeliveryByImageVolume(t *testing.T) {
	t.Cleanup(func() { install(t) })
	install(t, "--set", "delivery=image-volume")

	t.Run("the sample Job completes in order", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled)
		apply(t, ns, sample(t, jobSample))
		pod, condition := job(t, ns, jobSample)
		if condition != "Complete" {
			t.Fatalf("Job %s, want Complete", condition)
		}
		inJobOrder(t, ns, pod, "done")
		byImage(t, pod)
	})
	t.Run("an earlier sandbox is not believed", func(t *testing.T) {
		abreast(t)
		byImage(t, inANewSandbox(t))
	})
	t.Run("A10 containers that restart together", func(t *testing.T) {
		abreast(t)
		if pod, ran := restartedTogether(t); ran {
			byImage(t, pod)
		}
	})
	t.Run("a restricted pod on read-only root file systems", func(t *testing.T) {
		abreast(t)
		byImage(t, restricted(t))
	})
	t.Run("a pod in the network of the node has its records cleared", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled)
		apply(t, ns, podOf("web", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "\n  hostNetwork: true\n  restartPolicy: Never\n  containers:"+pair))
		pod := ended(t, ns, "web")
		proxyFirst(t, ns, pod)
		if len(pod.Spec.InitContainers) != 1 {
			t.Errorf("%d init containers, want ours", len(pod.Spec.InitContainers))
		}
	})
}

// TestDeliveryFollowsTheNodes runs while no other test runs, for the same reason.
func TestDeliveryFollowsTheNodes(t *testing.T) {
	t.Cleanup(func() { install(t) })
	install(t, "--set", "delivery=auto")
	ns := namespace(t, enabled)
	able := "image"
	if olderThan(t, 35) {
		able = "emptyDir" // nodes need a feature gate that they do not report
	}
	t.Run("every node has the cluster's version", func(t *testing.T) { delivered(t, ns, able) })

	t.Cleanup(func() { kubectl(t, "delete", "node", "e2e-old", "--ignore-not-found") })
	if _, err := try(t, `{apiVersion: v1, kind: Node, metadata: {name: e2e-old}}`, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "patch", "node", "e2e-old", "--subresource=status", "--type=merge", "-p",
		`{"status": {"nodeInfo": {"kubeletVersion": "v1.34.1", "containerRuntimeVersion": "containerd://2.1.4", "kernelVersion": "6.12.0", "osImage": "Debian"}}}`)
	t.Run("a node that cannot joins", func(t *testing.T) { delivered(t, ns, "emptyDir") })
	kubectl(t, "cordon", "e2e-old")
	t.Run("nothing is scheduled to it any more", func(t *testing.T) { delivered(t, ns, able) })
}

// delivered waits until new pods get the wrapper from a volume of this kind.
func delivered(t *testing.T, ns, kind string) {
	t.Helper()
	eventually(t, "delivery by "+kind, func() (bool, string) {
		out, err := try(t, waitingPod, "-n", ns, "create", "--dry-run=server", "-o", `jsonpath={.spec.volumes[?(@.name=="koordinator-bin")]}`, "-f", "-")
		return err == nil && strings.Contains(out, `"`+kind+`":`), out + fmt.Sprint(err)
	})
}

// byImage fails unless a pod gets the wrapper from an image volume.
func byImage(t *testing.T, pod corev1.Pod) {
	t.Helper()
	if len(pod.Spec.InitContainers) > 0 {
		t.Errorf("the pod has an init container %s", pod.Spec.InitContainers[0].Name)
	}
	for _, v := range pod.Spec.Volumes {
		if v.Name == "koordinator-bin" && v.Image != nil {
			return
		}
	}
	t.Errorf("no image volume among %+v", pod.Spec.Volumes)
}

// stateOf returns the state of a container that koordinator status prints in another container.
func stateOf(t *testing.T, ns, pod, in, of string) string {
	t.Helper()
	var all []struct{ Container, State string }
	out := kubectl(t, "-n", ns, "exec", pod, "-c", in, "--", "/koordinator/bin/koordinator", "status", "-o", "json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Container == of {
			return c.State
		}
	}
	t.Fatalf("no status of %s: %s", of, out)
	return ""
}
