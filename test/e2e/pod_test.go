//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// wait is how long a pod may take to come to a state, on a busy machine.
const wait = 60 * time.Second

func onePod(t *testing.T, ns, selector string) corev1.Pod {
	t.Helper()
	found := pods(t, ns, selector)
	if len(found) != 1 {
		t.Fatalf("selector %q finds %d pods, want 1", selector, len(found))
	}
	return found[0]
}

const waitingPod = `
apiVersion: v1
kind: Pod
metadata:
  name: waits
  labels: {e2e: ""}
  annotations:
    koordinator.io/start-deps: "main: never"
spec:
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - name: never
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; sleep 600 & wait"]
      readinessProbe: {exec: {command: ["false"]}, periodSeconds: 1}
`

func TestAPodDeletedWhileWaitingStartsNothingAndIsGoneAtOnce(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, waitingPod)
	eventually(t, wait, "main waiting", func() (bool, string) {
		out, err := cluster.Kubectl(t.Context(), "", "-n", ns, "logs", "waits", "-c", "main")
		return err == nil && strings.Contains(out, "waiting"), out
	})
	pod := onePod(t, ns, "e2e")
	if s := status(t, pod, "main"); s.Ready || s.Started == nil || *s.Started {
		t.Errorf("a waiting container counts as started or ready: %+v", s)
	}

	watch := cluster.KubectlCommand(t.Context(), "-n", ns, "get", "pod", "waits", "--watch", "--output-watch-events", "-o", "json")
	stdout, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	whole := follow(t, ns, "waits", "main")
	events := json.NewDecoder(stdout)
	next(t, events) // the watch is on

	began := time.Now()
	kubectl(t, "-n", ns, "delete", "pod", "waits", "--wait=false")
	last := untilDeleted(t, events)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the pod was gone after %s, want at once and not after the grace period", took)
	}
	if m := terminated(t, last, "main"); m.ExitCode != 143 || !strings.Contains(m.Message, "stopped by SIGTERM while waiting for never to be ready") {
		t.Errorf("main ended with code %d and message %q, want 143 and why", m.ExitCode, m.Message)
	}
	if out := whole(); out.has("main runs") || !out.has("waiting") {
		t.Errorf("main said %s, want that it waits and never that it runs", out)
	}
	_ = watch.Process.Kill()
	_ = watch.Wait()
}

// event is one of kubectl's watch events.
type event struct {
	Type   string
	Object corev1.Pod
}

func next(t *testing.T, events *json.Decoder) event {
	t.Helper()
	var e event
	if err := events.Decode(&e); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return e
}

// untilDeleted reads events until the pod is gone and returns its last state.
func untilDeleted(t *testing.T, events *json.Decoder) corev1.Pod {
	t.Helper()
	for {
		switch e := next(t, events); e.Type {
		case "DELETED":
			return e.Object
		case "":
			t.Fatal("the watch ended before the pod was gone")
		}
	}
}

// wrong are annotations with several mistakes, and what must be said of each.
const wrong = `
    koordinator.io/start-deps: "{main: cloudsql, proxy: main=redy}"
    koordinator.io/stop-delay: "10"
    koordinator.io/stop-dep: "proxy: main"`

var complaints = []string{
	"koordinator.io/start-deps",
	`container "main": no container "cloudsql" in this pod (has: "main", "proxy")`,
	`unknown condition "redy" (one of started, ready, exited, succeeded)`,
	"koordinator.io/stop-delay",
	`"10" is not a duration`,
	"koordinator.io/stop-dep",
	`did you mean "stop-deps"?`,
}

const twoContainers = `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: ["true"]}
    - {name: proxy, image: "busybox:1.37", command: ["true"]}
`

func TestAPodWithWrongAnnotationsIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	_, err := cluster.Kubectl(t.Context(), "apiVersion: v1\nkind: Pod\nmetadata:\n  name: wrong\n  annotations:"+wrong+"\nspec:"+twoContainers, "-n", ns, "apply", "-f", "-")
	if err == nil {
		t.Fatal("accepted")
	}
	complained(t, err.Error())
}

// TestAJobWithWrongAnnotationsSaysSoInItsEvents: it was there before the
// namespace was enabled.
func TestAJobWithWrongAnnotationsSaysSoInItsEvents(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	indent := func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }
	apply(t, ns, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: wrong}\nspec:\n  suspend: true\n  template:\n    metadata:\n      annotations:"+
		indent(wrong)+"\n    spec:"+indent(twoContainers))
	kubectl(t, "label", "namespace", ns, enabled)
	eventually(t, wait, "the namespace being enabled", func() (bool, string) {
		said := told(t, strings.Replace(waitingPod, "main: never", "main: nobody", 1), "-n", ns, "apply", "--dry-run=server", "-f", "-")
		return strings.Contains(said, `no container "nobody"`), said
	})
	kubectl(t, "-n", ns, "patch", "job", "wrong", "-p", `{"spec":{"suspend":false}}`)
	var events string
	eventually(t, wait, "an event of the Job", func() (bool, string) {
		events = kubectl(t, "-n", ns, "get", "events", "--field-selector", "involvedObject.kind=Job,reason=FailedCreate", "-o", `jsonpath={range .items[*]}{.message}{"\n"}{end}`)
		return events != "", events
	})
	complained(t, events)
	if left := pods(t, ns, "job-name=wrong"); len(left) != 0 {
		t.Errorf("%d pods were created", len(left))
	}
}

func complained(t *testing.T, text string) {
	t.Helper()
	for _, want := range complaints {
		if !strings.Contains(text, want) {
			t.Errorf("not said: %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestAPodInANamespaceWithoutTheLabelIsUntouched(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, waitingPod)
	pod := onePod(t, ns, "e2e")
	if len(pod.Spec.InitContainers) != 0 || pod.Spec.Containers[0].Command[0] != "sh" || len(pod.Spec.Containers[0].Env) != 0 {
		t.Errorf("something was put in: %+v", pod.Spec)
	}
	for key := range pod.Labels {
		if strings.HasPrefix(key, "koordinator.io/") {
			t.Errorf("label %s was put on", key)
		}
	}
	eventually(t, wait, "main's end", func() (bool, string) {
		out, err := cluster.Kubectl(t.Context(), "", "-n", ns, "logs", "waits", "-c", "main")
		return err == nil && strings.Contains(out, "main runs"), out
	})
}
