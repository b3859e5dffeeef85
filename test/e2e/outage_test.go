//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// TestTheOrderHoldsWhileTheAPIServerRestarts is not parallel: it takes the API
// server from everybody.
func TestTheOrderHoldsWhileTheAPIServerRestarts(t *testing.T) {
	ns := namespace(t, enabled)
	apply(t, ns, `
apiVersion: batch/v1
kind: Job
metadata: {name: outage}
spec:
  backoffLimit: 0
  template:
    metadata:
      labels: {e2e: ""}
      annotations:
        koordinator.io/start-deps: "main: proxy"
        koordinator.io/stop-deps: "proxy: main"
        koordinator.io/source: pod
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: busybox:1.37
          command: [sh, -c, "echo main runs; while ! test -e /shared/end; do sleep 0.1; done; echo main ends"]
          volumeMounts: [{name: shared, mountPath: /shared}]
        - name: proxy
          image: busybox:1.37
          command: [sh, -c, "echo proxy runs; trap 'echo got SIGTERM; exit 0' TERM; sleep 3600 & wait"]
          readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 1}
          volumeMounts: [{name: shared, mountPath: /shared}]
      volumes: [{name: shared, emptyDir: {}}]
`)
	says := func(container, text string) {
		t.Helper()
		eventually(t, wait, container+" to say "+text, func() (bool, string) {
			out, err := cluster.Kubectl(t.Context(), "", "-n", ns, "logs", "job/outage", "-c", container)
			return err == nil && strings.Contains(out, text), out
		})
	}
	says("main", "waiting")
	says("proxy", "proxy runs")
	restart(t)
	if out := kubectl(t, "-n", ns, "logs", "job/outage", "-c", "main"); strings.Contains(out, "main runs") {
		t.Errorf("main ran before the proxy was ready:\n%s", out)
	}
	kubectl(t, "-n", ns, "exec", "job/outage", "-c", "proxy", "--", "touch", "/shared/ready")
	says("main", "main runs")
	restart(t)
	kubectl(t, "-n", ns, "exec", "job/outage", "-c", "proxy", "--", "touch", "/shared/end")

	pod, condition := job(t, ns, "outage")
	if condition != "Complete" {
		t.Fatalf("Job %s, want Complete", condition)
	}
	main, proxy := logs(t, ns, pod.Name, "main"), logs(t, ns, pod.Name, "proxy")
	inOrder(t,
		moment{"main waits", main.when(t, "msg=waiting")},
		moment{"main runs", main.when(t, "main runs")},
		moment{"main ends", main.when(t, "main ends")},
		moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
	for _, o := range []output{main, proxy} {
		if !o.has("pod watch") {
			t.Errorf("%s did not notice that the API server went away:\n%s", o.container, o)
		}
	}
}

// restart restarts the API server and waits until it answers again. The
// controllers and the scheduler, which would be back only after half a minute,
// start afresh.
func restart(t *testing.T) {
	t.Helper()
	for _, part := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if err := cluster.Control(t.Context(), "restart", part); err != nil {
			t.Fatal(err)
		}
	}
}
