//go:build e2e

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestTheOrderHoldsWhileTheAPIServerRestarts is not parallel, because it stops the API
// server for all tests.
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
          command: [sh, -c, "SAY main runs; while ! test -e /shared/end; do sleep 0.1; done; SAY main ends"]
          volumeMounts: [{name: shared, mountPath: /shared}]
        - name: proxy
          image: busybox:1.37
          command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY proxy runs; sleep 3600 & wait"]
          readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 2, timeoutSeconds: 60}
          volumeMounts: [{name: shared, mountPath: /shared}]
      volumes: [{name: shared, emptyDir: {}}]
`)
	says(t, ns, "job/outage", "main", "waiting")
	says(t, ns, "job/outage", "proxy", "proxy runs")
	restart(t)
	if out := kubectl(t, "-n", ns, "logs", "job/outage", "-c", "main"); strings.Contains(out, "main runs") {
		t.Errorf("main ran before the proxy was ready:\n%s", out)
	}
	kubectl(t, "-n", ns, "exec", "job/outage", "-c", "proxy", "--", "touch", "/shared/ready")
	says(t, ns, "job/outage", "main", "main runs")
	restart(t)
	kubectl(t, "-n", ns, "exec", "job/outage", "-c", "proxy", "--", "touch", "/shared/end")

	pod, condition := job(t, ns, "outage")
	if condition != "Complete" {
		t.Fatalf("Job %s, want Complete", condition)
	}
	main, proxy := logs(t, ns, pod.Name, "main"), logs(t, ns, pod.Name, "proxy")
	inOrder(t,
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

// restart restarts the API server and waits until it answers again. Between stop and start,
// it waits for the duration OUTAGE. It also restarts the controllers and the scheduler,
// which otherwise would need half a minute to resume.
func restart(t *testing.T) {
	t.Helper()
	var outage time.Duration
	if text := os.Getenv("OUTAGE"); text != "" {
		var err error
		if outage, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	control(t, "stop", "kube-apiserver")
	time.Sleep(outage)
	control(t, "start", "kube-apiserver")
	control(t, "restart", "kube-controller-manager")
	control(t, "restart", "kube-scheduler")
}
