//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func onePod(t *testing.T, ns, selector string) corev1.Pod {
	t.Helper()
	found := pods(t, ns, selector)
	if len(found) != 1 {
		t.Fatalf("selector %q finds %d pods, want 1", selector, len(found))
	}
	return found[0]
}

// waitingPod has a container that waits as long as the pod exists. No test waits for its
// grace period.
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
  terminationGracePeriodSeconds: 3600
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - name: never
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]
      readinessProbe: {exec: {command: ["false"]}, periodSeconds: 10, timeoutSeconds: 60}
`

func TestAPodDeletedWhileWaitingStartsNothingAndIsGoneAtOnce(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, waitingPod)
	eventually(t, "main waiting", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "logs", "waits", "-c", "main")
		return err == nil && strings.Contains(out, "waiting"), out
	})
	pod := onePod(t, ns, "e2e")
	if s := status(t, pod, "main"); s.Ready || s.Started == nil || *s.Started {
		t.Errorf("a waiting container counts as started or ready: %+v", s)
	}

	watch, stdout := streaming(t, "-n", ns, "get", "pod", "waits", "--watch", "--output-watch-events", "-o", "json")
	whole := follow(t, ns, "waits", "main")
	events := json.NewDecoder(stdout)
	next(t, events) // the watch has begun

	kubectl(t, "-n", ns, "delete", "pod", "waits", "--wait=false")
	last := untilDeleted(t, events) // long before the end of its grace period
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

// untilDeleted reads events until the pod is deleted and returns its last state.
func untilDeleted(t *testing.T, events *json.Decoder) corev1.Pod {
	t.Helper()
	var last corev1.Pod
	for {
		e := next(t, events)
		switch e.Type {
		case "DELETED":
			return e.Object
		case "":
			t.Fatalf("the watch ended before the pod was gone; last: %+v", last.Status)
		}
		last = e.Object
	}
}

// wrong holds annotations with several mistakes, and the expected message for each.
const wrong = `
    koordinator.io/start-deps: "{main: cloudsql, proxy: main=redy}"
    koordinator.io/stop-delay: "10"
    koordinator.io/stop-dep: "proxy: main"`

var complaints = []string{
	"koordinator.io/start-deps",
	`[main]: this pod has no container "cloudsql" (it has "main", "proxy")`,
	`"redy" is not a valid condition. Use one of started, ready, exited, succeeded`,
	"koordinator.io/stop-delay",
	`"10" is not a duration`,
	"koordinator.io/stop-dep",
	`Did you mean "koordinator.io/stop-deps"?`,
}

const twoContainers = `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: ["true"]}
    - {name: proxy, image: "busybox:1.37", command: ["true"]}
`

func TestAPodWithWrongAnnotationsIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	_, err := try(t, "apiVersion: v1\nkind: Pod\nmetadata:\n  name: wrong\n  annotations:"+wrong+"\nspec:"+twoContainers, "-n", ns, "apply", "-f", "-")
	if err == nil {
		t.Fatal("accepted")
	}
	complained(t, err.Error())
}

// TestAJobWithWrongAnnotationsSaysSoInItsEvents uses a Job that existed before the
// namespace was enabled.
func TestAJobWithWrongAnnotationsSaysSoInItsEvents(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	indent := func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }
	apply(t, ns, "apiVersion: batch/v1\nkind: Job\nmetadata: {name: wrong}\nspec:\n  suspend: true\n  template:\n    metadata:\n      annotations:"+
		indent(wrong)+"\n    spec:"+indent(twoContainers))
	kubectl(t, "label", "namespace", ns, enabled)
	eventually(t, "the namespace being enabled", func() (bool, string) {
		said := told(t, strings.Replace(waitingPod, "main: never", "main: nobody", 1), "-n", ns, "apply", "--dry-run=server", "-f", "-")
		return strings.Contains(said, `no container "nobody"`), said
	})
	kubectl(t, "-n", ns, "patch", "job", "wrong", "-p", `{"spec":{"suspend":false}}`)
	var events string
	eventually(t, "an event of the Job", func() (bool, string) {
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
	abreast(t)
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
	eventually(t, "main's end", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "logs", "waits", "-c", "main")
		return err == nil && strings.Contains(out, "main runs"), out
	})
}
