//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// limits is a typical setup of a namespace by an administrator: a container has small
// default resources, and none may run without resources.
const limits = `
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec:
  limits:
    - type: Container
      default: {cpu: 100m, memory: 64Mi}
      defaultRequest: {cpu: 100m, memory: 64Mi}
      min: {cpu: 10m, memory: 8Mi}
      max: {cpu: "1", memory: 256Mi}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec:
  hard: {pods: "1", requests.cpu: 200m, limits.cpu: 200m, requests.memory: 128Mi, limits.memory: 128Mi}
`

// TestARestrictedNamespaceWithAQuota creates a pod that uses the whole quota. koordinator's
// additions must fit, too.
func TestARestrictedNamespaceWithAQuota(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled, "pod-security.kubernetes.io/enforce=restricted")
	apply(t, ns, limits)
	eventually(t, "the quota to be counted", func() (bool, string) {
		used := kubectl(t, "-n", ns, "get", "resourcequota", "quota", "-o", "jsonpath={.status.used.pods}")
		return used == "0", used
	})
	const strict = `{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}`
	apply(t, ns, jobOf("fits", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "backoffLimit: 0", `
  restartPolicy: Never
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 1001, fsGroup: 2000, seccompProfile: {type: RuntimeDefault}}
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "SAY main runs; id"], securityContext: `+strict+`}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY proxy runs; touch /data/ready; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /data/ready]}, timeoutSeconds: 60}
      securityContext: `+strings.Replace(strict, "{", "{runAsUser: 1002, ", 1)+`
      volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
`))
	pod, condition := job(t, ns, "fits")
	if condition != "Complete" {
		t.Fatalf("Job %s, want Complete", condition)
	}
	proxyFirst(t, ns, pod)
	if pod.Status.QOSClass != corev1.PodQOSGuaranteed {
		t.Errorf("quality of service class %s, want Guaranteed", pod.Status.QOSClass)
	}
	if ours := pod.Spec.InitContainers[0].Resources; ours.Limits.Cpu().String() != "50m" || !ours.Requests.Memory().Equal(*ours.Limits.Memory()) {
		t.Errorf("the init container has %+v, want requests and limits alike", ours)
	}
}

// pair has a main that waits for the proxy, and a proxy that stops after main.
const pair = `
    - {name: main, image: "busybox:1.37", command: [sh, -c, "SAY main runs"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY proxy runs; touch /tmp/ready; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, timeoutSeconds: 60}`

// proxyFirst checks the order of such a pair in a pod that has succeeded.
func proxyFirst(t *testing.T, ns string, pod corev1.Pod) {
	t.Helper()
	for _, name := range []string{"main", "proxy"} {
		if e := terminated(t, pod, name); e.ExitCode != 0 {
			t.Errorf("%s exited with %d (%s), want 0", name, e.ExitCode, e.Message)
		}
	}
	inOrder(t,
		moment{"the proxy runs", logs(t, ns, pod.Name, "proxy").when(t, "proxy runs")},
		moment{"main runs", logs(t, ns, pod.Name, "main").when(t, "main runs")},
		moment{"the proxy gets SIGTERM", logs(t, ns, pod.Name, "proxy").when(t, "got SIGTERM")},
	)
}

// ended waits until a pod has ended, and returns it.
func ended(t *testing.T, ns, name string) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	eventually(t, "the end of pod "+name, func() (bool, string) {
		pod = corev1.Pod{}
		out := kubectl(t, "-n", ns, "get", "pod", name, "-o", "json")
		if err := json.Unmarshal([]byte(out), &pod); err != nil {
			t.Fatal(err)
		}
		return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed, out
	})
	return pod
}

func TestPodsInNamespacesOfOthers(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"the network of the node":    "hostNetwork: true",
		"processes that are shared":  "shareProcessNamespace: true",
		"the processes of the node":  "hostPID: true",
		"the semaphores of the node": "hostIPC: true",
	} {
		t.Run(name, func(t *testing.T) {
			abreast(t)
			ns := namespace(t, enabled)
			apply(t, ns, podOf("web", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "\n  "+line+"\n  restartPolicy: Never\n  containers:"+pair))
			proxyFirst(t, ns, ended(t, ns, "web"))
		})
	}
}

// TestCopiesOfInjectedPods creates new pods from injected ones.
func TestCopiesOfInjectedPods(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("web", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "\n  restartPolicy: Never\n  containers:"+pair))
	proxyFirst(t, ns, ended(t, ns, "web"))
	debug := func(args ...string) {
		t.Helper()
		kubectl(t, append([]string{"-n", ns, "debug", "web", "--image=busybox:1.37"}, args...)...)
	}
	debug("--copy-to=copy", "--container=beside", "--", "echo", "beside them")
	debug("--copy-to=kept", "--container=beside", "--keep-annotations", "--keep-labels", "--keep-readiness", "--keep-startup", "--", "echo", "beside them")
	debug("--copy-to=changed", "--container=main", "--keep-annotations", "--", "sh", "-c", spoken("SAY another main runs"))
	restored := restore(t, ns, "web")
	for _, pod := range []string{"copy", "kept", "changed", restored} {
		t.Run(pod, func(t *testing.T) { proxyFirst(t, ns, ended(t, ns, pod)) })
	}
	if !logs(t, ns, "changed", "main").has("another main runs") {
		t.Error("kubectl debug has changed nothing")
	}
}

// restore deletes a pod and creates it again from its saved manifest, as a backup does. It
// returns the pod's name.
func restore(t *testing.T, ns, name string) string {
	t.Helper()
	var pod map[string]any
	if err := json.Unmarshal([]byte(kubectl(t, "-n", ns, "get", "pod", name, "-o", "json")), &pod); err != nil {
		t.Fatal(err)
	}
	delete(pod, "status")
	delete(pod["spec"].(map[string]any), "nodeName")
	for _, own := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"} {
		delete(pod["metadata"].(map[string]any), own)
	}
	saved, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "-n", ns, "delete", "pod", name)
	if _, err := try(t, string(saved), "-n", ns, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	return name
}
