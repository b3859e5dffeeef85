//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

// feature is a feature of Kubernetes that koordinator uses where it exists.
type feature struct {
	name      string
	container string // fields of the container in a pod with the feature
	spec      string // further fields of the pod's spec
	path      string // field that the API server keeps if it has the feature
	value     string // value of this field
}

// restartsTogether is the feature with which all containers of a pod restart together.
var restartsTogether = feature{
	name:      "`restartPolicyRules` with `RestartAllContainers`",
	container: "restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]",
	path:      ".spec.containers[0].restartPolicyRules[0].action", value: "RestartAllContainers",
}

var features = []feature{
	{
		name: "image volumes", spec: "volumes: [{name: image, image: {reference: 'busybox:1.37'}}]",
		path: ".spec.volumes[0].image.reference", value: "busybox:1.37",
	},
	{
		name: "`lifecycle.stopSignal`", container: "lifecycle: {stopSignal: SIGUSR1}", spec: "os: {name: linux}",
		path: ".spec.containers[0].lifecycle.stopSignal", value: "SIGUSR1",
	},
	{
		name: "`restartPolicyRules`", container: "restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [42]}}]",
		path: ".spec.containers[0].restartPolicyRules[0].action", value: "Restart",
	},
	restartsTogether,
	{
		name: "`matchLabelKeys` of a pod affinity",
		spec: "affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone, matchLabelKeys: [tier], labelSelector: {matchLabels: {app: web}}}]}}",
		path: ".spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys[0]", value: "tier",
	},
	{
		name: "`httpGet.protocol: HTTP2`", container: "livenessProbe: {httpGet: {port: 80, protocol: HTTP2}}",
		path: ".spec.containers[0].livenessProbe.httpGet.protocol", value: "HTTP2",
	},
	{
		name: "`bindMountOptions` of a volume mount", container: "volumeMounts: [{name: data, mountPath: /data, bindMountOptions: [noexec]}]",
		spec: "volumes: [{name: data, emptyDir: {}}]",
		path: ".spec.containers[0].volumeMounts[0].bindMountOptions[0]", value: "noexec",
	},
}

// exists reports whether the API server keeps the field of a feature.
func (f feature) exists(t *testing.T, ns string) bool {
	t.Helper()
	pod := podOf("feature", nil, fmt.Sprintf("\n  restartPolicy: Never\n  containers: [{name: main, image: 'busybox:1.37', command: [sleep, '1'], %s}]\n  %s\n", f.container, f.spec))
	out, err := try(t, pod, "-n", ns, "create", "--dry-run=server", "--validate=ignore", "-o", "jsonpath={"+f.path+"}", "-f", "-")
	return err == nil && out == f.value
}

// canRestartTogether reports whether the cluster has this feature. Only Kubernetes before 1.36
// may lack it.
func canRestartTogether(t *testing.T, ns string) bool {
	t.Helper()
	if restartsTogether.exists(t, ns) {
		return true
	}
	if !olderThan(t, 36) {
		t.Errorf("Kubernetes %s cannot restart all containers of a pod", kubernetesVersion(t))
	}
	return false
}

// TestThePlatform logs which features the cluster's version of Kubernetes has, for
// test/versions. Other tests show that koordinator works with and without them.
func TestThePlatform(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	for _, f := range features {
		t.Logf("feature %q exists: %t", f.name, f.exists(t, ns))
	}
	t.Logf("Kubernetes %s", kubernetesVersion(t))
}

// kubernetesVersion returns the version of the API server, such as v1.36.3.
func kubernetesVersion(t *testing.T) string {
	t.Helper()
	var version struct{ ServerVersion struct{ GitVersion string } }
	if err := json.Unmarshal([]byte(kubectl(t, "version", "-o", "json")), &version); err != nil || version.ServerVersion.GitVersion == "" {
		t.Fatalf("no version: %v", err)
	}
	return version.ServerVersion.GitVersion
}

// olderThan reports whether the version of the API server is older than 1.minor.
func olderThan(t *testing.T, minor int) bool {
	t.Helper()
	var major, have int
	if _, err := fmt.Sscanf(kubernetesVersion(t), "v%d.%d", &major, &have); err != nil {
		t.Fatal(err)
	}
	return major == 1 && have < minor
}
