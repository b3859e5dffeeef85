//go:build e2e

package e2e

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestANewSandboxForgetsNoSuccess(t *testing.T) {
	abreast(t)
	inANewSandbox(t)
}

// inANewSandbox kills the pod's sandbox while main waits. In the new sandbox, the init
// containers run again, but the container that has succeeded does not. Its record no longer
// counts, and only the pod's status shows its success. inANewSandbox returns the pod after
// its end.
func inANewSandbox(t *testing.T) corev1.Pod {
	t.Helper()
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("sandbox", notes{"start-deps": "main: migrate=succeeded, proxy", "stop-deps": "proxy: main"}, "backoffLimit: 6", `
  restartPolicy: OnFailure
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - {name: migrate, image: "busybox:1.37", command: [sh, -c, "echo run >> /runs/all; cat /runs/all"], volumeMounts: [{name: runs, mountPath: /runs}]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 1' TERM; echo proxy runs; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /runs/ready]}, periodSeconds: 2, timeoutSeconds: 60}
      volumeMounts: [{name: runs, mountPath: /runs}]
  volumes: [{name: runs, emptyDir: {}}]
`))
	says(t, ns, "job/sandbox", "main", "waiting")
	ends(t, ns, "migrate")
	before := status(t, onePod(t, ns, "e2e"), "proxy").ContainerID
	killSandbox(t, onePod(t, ns, "e2e"))
	eventually(t, "the proxy in a new sandbox", func() (bool, string) {
		s := status(t, onePod(t, ns, "e2e"), "proxy")
		return s.State.Running != nil && s.ContainerID != before, s.State.String()
	})
	if state := stateOf(t, ns, "job/sandbox", "proxy", "migrate"); state != "pending" {
		t.Errorf("migrate is %s in the new sandbox, want pending", state)
	}
	kubectl(t, "-n", ns, "exec", "job/sandbox", "-c", "proxy", "--", "touch", "/runs/ready")
	pod, condition := job(t, ns, "sandbox")
	t.Run("kube-term-13 what an earlier sandbox left is cleared, and what it did still counts", func(t *testing.T) {
		if condition != "Complete" {
			t.Errorf("Job %s, want Complete", condition)
		}
		if !logs(t, ns, pod.Name, "main").has("main runs") {
			t.Error("main never ran")
		}
		if n := status(t, pod, "migrate").RestartCount; n != 0 {
			t.Errorf("migrate was run again %d times: the new sandbox proves nothing", n)
		}
	})
	return pod
}
