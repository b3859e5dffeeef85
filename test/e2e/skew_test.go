//go:build e2e && skew

package e2e

import (
	"os"
	"testing"
)

// TestNodesOfDifferentVersions adds a node with the version in OTHER_KUBERNETES_VERSION, which
// must be too old for image volumes. It requires the programs of two versions.
func TestNodesOfDifferentVersions(t *testing.T) {
	old := os.Getenv("OTHER_KUBERNETES_VERSION")
	if old == "" {
		t.Fatal("OTHER_KUBERNETES_VERSION is not set: set it to a version such as 1.34.4")
	}
	t.Cleanup(func() {
		control(t, "remove", second)
		kubectl(t, "delete", "node", second, "--ignore-not-found")
		install(t)
	})
	install(t, "--set", "delivery=auto")
	ns := namespace(t, enabled)
	delivered(t, ns, "image")

	t.Setenv("KUBERNETES_VERSION", old)
	control(t, "start", second)
	control(t, "load", "bin/images/wrapper.tar")
	nodeIs(t, "Ready", "True")
	if got := kubectl(t, "get", "node", second, "-o", "jsonpath={.status.nodeInfo.kubeletVersion}"); got != "v"+old {
		t.Fatalf("the node has %s, want v%s", got, old)
	}

	t.Run("the old node joins", func(t *testing.T) { delivered(t, ns, "emptyDir") })
	for _, node := range []string{"node1", second} {
		t.Run("the order holds on "+node, func(t *testing.T) {
			ns := namespace(t, enabled)
			apply(t, ns, podOf("web", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "\n  nodeName: "+node+"\n  restartPolicy: Never\n  containers:"+pair))
			proxyFirst(t, ns, ended(t, ns, "web"))
		})
	}
	t.Run("the old node leaves", func(t *testing.T) {
		kubectl(t, "cordon", second)
		delivered(t, ns, "image")
	})
	t.Run("the old node is back", func(t *testing.T) {
		kubectl(t, "uncordon", second)
		delivered(t, ns, "emptyDir")
	})
}
