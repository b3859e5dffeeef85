//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// jobSample is the Job of the demo and the README.
const jobSample = "job-with-sidecar"

// sample returns one of config/samples, with commands that print times.
func sample(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root, "config/samples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return voiced(string(data))
}

func TestTheSampleJobCompletes(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, sample(t, jobSample))
	pod, condition := job(t, ns, jobSample)
	if condition != "Complete" || pod.Status.Phase != corev1.PodSucceeded {
		t.Fatalf("Job %s, pod %s, want Complete and Succeeded", condition, pod.Status.Phase)
	}
	inJobOrder(t, ns, pod, "done")
	for _, name := range []string{"main", "proxy"} {
		if code := terminated(t, pod, name).ExitCode; code != 0 {
			t.Errorf("%s exited with code %d, want 0", name, code)
		}
	}
}

func TestTheSampleJobFailsWhenMainFails(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	failing := strings.Replace(sample(t, jobSample), "exit 0\n        - name: proxy", "exit 3\n        - name: proxy", 1)
	if failing == sample(t, jobSample) {
		t.Fatal("main's exit 0 is not where it was in the sample")
	}
	apply(t, ns, failing)
	pod, condition := job(t, ns, jobSample)
	if condition != "Failed" || pod.Status.Phase != corev1.PodFailed {
		t.Fatalf("Job %s, pod %s, want both Failed", condition, pod.Status.Phase)
	}
	inJobOrder(t, ns, pod, "done")
	if code := terminated(t, pod, "main").ExitCode; code != 3 {
		t.Errorf("main exited with code %d, want 3", code)
	}
	if code := terminated(t, pod, "proxy").ExitCode; code != 0 {
		t.Errorf("proxy exited with code %d, want 0", code)
	}
}

// inJobOrder checks the sample's order by the output of the containers.
func inJobOrder(t *testing.T, ns string, pod corev1.Pod, last string) {
	t.Helper()
	main, proxy := logs(t, ns, pod.Name, "main"), logs(t, ns, pod.Name, "proxy")
	inOrder(t,
		moment{"main starts", main.when(t, "asking the proxy")},
		moment{"main ends", main.when(t, last)},
		moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
	connecting := moment{"proxy connects", proxy.when(t, "connecting to the database")} // three seconds before it listens
	notBefore(t, connecting, 3*time.Second, moment{"main starts", main.when(t, "asking the proxy")})
	if !main.has("rows of the database") {
		t.Errorf("the proxy did not answer main:\n%s", main)
	}
}

func TestAChainStartsInOrder(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, `
apiVersion: v1
kind: Pod
metadata:
  name: chain
  labels: {e2e: ""}
  annotations:
    koordinator.io/start-deps: "{c: b, b: a}"
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers:
    - {name: c, image: "busybox:1.37", command: [sh, -c, "SAY c runs"]}
    - {name: b, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; SAY b runs; sleep 3600 & wait"]}
    - name: a
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; until test -e /tmp/go; do sleep 0.1; done; SAY a is ready; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 10, timeoutSeconds: 60}
`)
	says(t, ns, "chain", "b", "waiting")
	says(t, ns, "chain", "c", "waiting")
	inside(t, ns, "chain", "a", "touch", "/tmp/go")
	eventually(t, "the end of c", func() (bool, string) {
		pod := onePod(t, ns, "e2e")
		for _, s := range pod.Status.ContainerStatuses {
			if s.Name != "c" {
				continue
			}
			return s.State.Terminated != nil && s.State.Terminated.ExitCode == 0, s.State.String()
		}
		return false, "no status"
	})
	a, b, c := logs(t, ns, "chain", "a"), logs(t, ns, "chain", "b"), logs(t, ns, "chain", "c")
	inOrder(t,
		moment{"a is ready", a.when(t, "a is ready")},
		moment{"b is started", b.when(t, "command started")},
		moment{"c runs", c.when(t, "c runs")},
	)
}
