//go:build e2e

package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// registryHost is the address of the registry in test/e2e/shop. The cluster's settings list
// it as a registry without TLS.
const registryHost = "10.96.77.77:5000"

// shopImages loads the images of test/e2e/shop on the node.
func shopImages(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "shop")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./shop")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(program, "archive", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Control(t.Context(), append([]string{"load"}, strings.Fields(string(out))...)...); err != nil {
		t.Fatal(err)
	}
}

// TestCommandsOfImages uses a private registry in the cluster, containers whose commands
// are defined by their images, and finally no registry.
func TestCommandsOfImages(t *testing.T) {
	abreast(t)
	shopImages(t)
	ns := namespace(t, enabled)
	auth := base64.StdEncoding.EncodeToString([]byte("team:secret"))
	config := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, registryHost, auth))
	apply(t, ns, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: registry, labels: {app: registry}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: registry, image: "shop:1", imagePullPolicy: Never, readinessProbe: {tcpSocket: {port: 5000}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Service
metadata: {name: registry}
spec: {clusterIP: 10.96.77.77, selector: {app: registry}, ports: [{port: 5000}]}
---
apiVersion: v1
kind: Secret
metadata: {name: pull}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: %s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: puller}
imagePullSecrets: [{name: pull}]
`, config))
	kubectl(t, "-n", ns, "wait", "pod/registry", "--for=condition=Ready", "--timeout=5m")
	eventually(t, "an address behind the Service", func() (bool, string) {
		out := kubectl(t, "-n", ns, "get", "endpointslices", "-l", "kubernetes.io/service-name=registry", "-o", "jsonpath={.items[*].endpoints[*].addresses[*]}")
		return out != "", out
	})
	images := podOf("images", notes{"start-deps": "{main: side, multi: side}", "stop-deps": "{side: 'main, multi'}", "stop-when": "side: all"}, `
  restartPolicy: Never
  serviceAccountName: puller
  containers:
    - {name: main, image: "`+registryHost+`/team/app:1", imagePullPolicy: IfNotPresent}
    - {name: multi, image: "`+registryHost+`/team/multi:1", imagePullPolicy: IfNotPresent, args: ["$(MINE)"], env: [{name: MINE, value: expanded}]}
    - {name: side, image: "`+registryHost+`/team/app:1", imagePullPolicy: IfNotPresent, args: [wait], readinessProbe: {tcpSocket: {port: 5001}}}
`)
	eventually(t, "the registry to be reached", func() (bool, string) { // only a lookup shows when the node forwards to the registry, and each replica caches a failure for a while
		_, err := try(t, images, "-n", ns, "apply", "-f", "-")
		return err == nil, fmt.Sprint(err)
	})
	ends(t, ns, "main", "multi", "side")
	for name, want := range map[string]string{
		"main":  `runs ["$(HOME)" "$$" "of" "the" "image"]`,
		"multi": fmt.Sprintf("runs [%q \"expanded\"]", runtime.GOARCH),
		"side":  `runs ["$(HOME)" "$$" "wait"]`,
	} {
		if out := logs(t, ns, "images", name); !out.has(want) {
			t.Errorf("%s says not %q:\n%s", name, want, out)
		}
	}
	if out := logs(t, ns, "images", "side"); !out.has("got user defined signal 1") {
		t.Errorf("the sidecar was not stopped by the STOPSIGNAL of its image:\n%s", out)
	}

	kubectl(t, "-n", ns, "delete", "pod", "registry", "--wait")
	t.Run("without the registry a pod that needs no lookup is as before", func(t *testing.T) {
		ns := namespace(t, enabled)
		apply(t, ns, podOf("known", notes{"start-deps": "main: side", "stop-deps": "side: main"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [echo, main runs]}
    - {name: side, image: "`+registryHost+`/team/later:1", imagePullPolicy: IfNotPresent, command: [/bin/of/the/image/shop, run, wait]}
`))
		ends(t, ns, "main", "side")
		if out := logs(t, ns, "known", "main"); !out.has("main runs") {
			t.Error(out)
		}
	})
	t.Run("without the registry a pod that needs a lookup is refused in time", func(t *testing.T) {
		_, err := try(t, podOf("unknown", notes{"start-deps": "main: side", "stop-deps": "side: main"}, `
  restartPolicy: Never
  serviceAccountName: puller
  containers:
    - {name: main, image: "busybox:1.37", command: [echo, main runs]}
    - {name: side, image: "`+registryHost+`/team/later:1", imagePullPolicy: IfNotPresent}
`), "-n", ns, "create", "-f", "-")
		if err == nil {
			t.Fatal("allowed")
		}
		for _, part := range []string{"spec.containers[side]", "koordinator needs the container's command", registryHost, "set command or the annotation", "command index"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("no %q in %v", part, err)
			}
		}
	})
}
