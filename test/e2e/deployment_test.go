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
        koordinator.io/stop-delay: "app: 10s"
    spec:
      terminationGracePeriodSeconds: 3600
      containers:
        - name: app
          image: busybox:1.37
          command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; SAY app runs; sleep 3600 & wait"]
        - name: config
          image: busybox:1.37
          command: [sh, -c, "trap 'exit 0' TERM; echo loading; sleep 3; SAY loaded; touch /tmp/ready; sleep 3600 & wait"]
          readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
`

// TestADeploymentRollsOutInOrder checks that a rollout waits for the order, and that a
// stopped pod holds its stop request for the stop delay.
func TestADeploymentRollsOutInOrder(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, deployment)
	kubectl(t, "-n", ns, "rollout", "status", "deployment/web", "--timeout=5m")
	pod := onePod(t, ns, "e2e")
	app, config := logs(t, ns, pod.Name, "app"), logs(t, ns, pod.Name, "config")
	inOrder(t,
		moment{"config is loaded", config.when(t, "loaded")},
		moment{"app runs", app.when(t, "app runs")},
	)

	whole := follow(t, ns, pod.Name, "app")
	deleted := moment{"the pod is deleted", time.Now()}
	kubectl(t, "-n", ns, "delete", "pod", pod.Name, "--wait=false")
	app = whole()
	notBefore(t, deleted, 10*time.Second, moment{"app gets SIGTERM", app.when(t, "got SIGTERM")})
}

func TestTheSampleDeploymentRollsOut(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, sample(t, "deployment-in-order"))
	kubectl(t, "-n", ns, "rollout", "status", "deployment/deployment-in-order", "--timeout=5m")
}
