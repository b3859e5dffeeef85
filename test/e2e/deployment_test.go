//go:build e2e

package e2e

import (
	"testing"
	"time"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {e2e: ""}}
  template:
    metadata:
      labels: {e2e: ""}
      annotations:
        koordinator.io/start-deps: "app: config"
        koordinator.io/stop-delay: "app: 2s"
    spec:
      containers:
        - name: app
          image: busybox:1.37
          command: [sh, -c, "echo app runs; trap 'echo got SIGTERM; exit 0' TERM; sleep 3600 & wait"]
        - name: config
          image: busybox:1.37
          command: [sh, -c, "echo loading; trap 'exit 0' TERM; sleep 3; touch /tmp/ready; echo loaded; sleep 3600 & wait"]
          readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
`

// TestADeploymentRollsOutInOrder sees a rollout wait for the order, and a
// stopped pod keep its stop request back for the stop delay.
func TestADeploymentRollsOutInOrder(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, deployment)
	kubectl(t, "-n", ns, "rollout", "status", "deployment/web", "--timeout=60s")
	pod := onePod(t, ns, "e2e")
	app, config := logs(t, ns, pod.Name, "app"), logs(t, ns, pod.Name, "config")
	inOrder(t,
		moment{"app waits", app.when(t, "msg=waiting")},
		moment{"config is loaded", config.when(t, "loaded")},
		moment{"app runs", app.when(t, "app runs")},
	)

	whole := follow(t, ns, pod.Name, "app")
	kubectl(t, "-n", ns, "delete", "pod", pod.Name, "--wait=false")
	app = whole()
	asked, passed := app.when(t, "stop request kept back"), app.when(t, "got SIGTERM")
	if delay := passed.Sub(asked); delay < 1500*time.Millisecond || delay > 10*time.Second {
		t.Errorf("the stop request was kept back for %s, want about 2s", delay)
	}
}

func TestTheSampleDeploymentRollsOut(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, sample(t, "deployment-in-order"))
	kubectl(t, "-n", ns, "rollout", "status", "deployment/deployment-in-order", "--timeout=60s")
}
