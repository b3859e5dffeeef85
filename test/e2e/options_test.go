//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// sidecar is a container that runs until it receives a stop request.
const sidecar = `
    - {name: sidecar, image: "busybox:1.37", command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; echo sidecar runs; sleep 3600 & wait $!"]}`

func TestStopWhenAllWaitsForTheLast(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("all", notes{"stop-deps": "sidecar: first, last", "stop-when": "sidecar: all"}, `
  restartPolicy: Never
  containers:
    - {name: first, image: "busybox:1.37", command: [sleep, "1"]}
    - {name: last, image: "busybox:1.37", command: [sh, -c, "until test -e /tmp/go; do sleep 0.1; done; SAY last ends"]}`+sidecar))
	says(t, ns, "all", "sidecar", "sidecar runs")
	ends(t, ns, "first")
	inside(t, ns, "all", "last", "touch", "/tmp/go")
	pod := ends(t, ns, "first", "last", "sidecar")
	inOrder(t,
		moment{"the last ends", logs(t, ns, "all", "last").when(t, "last ends")},
		moment{"the sidecar gets SIGTERM", logs(t, ns, "all", "sidecar").when(t, "got SIGTERM")},
	)
	if pod.Status.Phase == corev1.PodFailed {
		t.Errorf("the pod failed: %+v", pod.Status.ContainerStatuses)
	}
}

func TestWhatFollowsTheStartTimeout(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("late", notes{
		"start-deps":       "{fails: sidecar=exited, starts: sidecar=exited, drops: 'sidecar=exited?', broken: 'crash=succeeded?'}",
		"start-timeout":    "{fails: 3s, starts: 3s, drops: 3s}",
		"on-start-timeout": "starts: start",
	}, `
  restartPolicy: Never
  containers:
    - {name: fails, image: "busybox:1.37", command: [echo, it runs]}
    - {name: starts, image: "busybox:1.37", command: [echo, it runs]}
    - {name: drops, image: "busybox:1.37", command: [echo, it runs]}
    - {name: broken, image: "busybox:1.37", command: [echo, it runs]}
    - {name: crash, image: "busybox:1.37", command: [sh, -c, exit 5]}`+sidecar))
	pod := ends(t, ns, "fails", "starts", "drops", "broken")
	t.Run("own-27 the container fails and names what it waited for", func(t *testing.T) {
		e := terminated(t, pod, "fails")
		if e.ExitCode != 124 || !strings.Contains(e.Message, "waited 3s for sidecar to exit") {
			t.Errorf("exit code %d, message %q, want 124 and what it waited for", e.ExitCode, e.Message)
		}
		if logs(t, ns, "late", "fails").has("it runs") {
			t.Error("the command ran")
		}
	})
	for container, name := range map[string]string{
		"starts": "on-start-timeout start runs the command all the same",
		"drops":  "own-28 an optional dependency that timed out is dropped",
		"broken": "own-28 an optional dependency that failed is dropped",
	} {
		t.Run(name, func(t *testing.T) {
			if e := terminated(t, pod, container); e.ExitCode != 0 || !logs(t, ns, "late", container).has("it runs") {
				t.Errorf("exit code %d, message %q, want that it ran", e.ExitCode, e.Message)
			}
		})
	}
}

// TestSidecarsAreAskedToEndByRequest uses a wrapped sidecar and one that is not wrapped;
// main runs until both listen.
func TestSidecarsAreAskedToEndByRequest(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, answering)
	apply(t, ns, podOf("requests", notes{
		"stop-deps": "wrapped: main",
		"stop-http": "wrapped: POST http://127.0.0.1:15020/quitquitquit",
		"exit-http": "main: [GET http://127.0.0.1:15021/quit]",
	}, `
  restartPolicy: Never
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "until netstat -lnt | grep -q :15020 && netstat -lnt | grep -q :15021; do sleep 0.1; done"]
    - name: wrapped
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 1' TERM; (nc -l -p 15020 -e sh /script/answer.sh; cat /tmp/asked) & wait $!"]
      volumeMounts: [{name: script, mountPath: /script}]
    - name: bare
      image: busybox:1.37
      command: [sh, -c, "nc -l -p 15021 -e sh /script/answer.sh; cat /tmp/asked"]
      volumeMounts: [{name: script, mountPath: /script}]
  volumes: [{name: script, configMap: {name: script}}]
`))
	pod := ends(t, ns, "main", "wrapped", "bare")
	for name, want := range map[string]string{"wrapped": "POST /quitquitquit", "bare": "GET /quit"} {
		if out := logs(t, ns, "requests", name); !out.has(want) || out.has("got SIGTERM") {
			t.Errorf("%s was not asked by %s alone:\n%s", name, want, out)
		}
		if code := terminated(t, pod, name).ExitCode; code != 0 {
			t.Errorf("%s exited with %d, want 0", name, code)
		}
	}
	if len(container(t, pod, "bare").Env) != 0 {
		t.Error("bare is wrapped: it proves nothing")
	}
}

// container returns a container of a pod's spec.
func container(t *testing.T, pod corev1.Pod, name string) corev1.Container {
	t.Helper()
	for _, c := range pod.Spec.Containers {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("pod %s has no container %s", pod.Name, name)
	return corev1.Container{}
}

func TestAnEssentialContainerEndsThePod(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("essential", notes{"essential": "main"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "until test -e /tmp/go; do sleep 0.1; done; SAY main ends"]}
    - {name: proxy, image: "busybox:1.37", command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]}`+sidecar))
	says(t, ns, "essential", "proxy", "proxy runs")
	says(t, ns, "essential", "sidecar", "sidecar runs")
	inside(t, ns, "essential", "main", "touch", "/tmp/go")
	pod := ends(t, ns, "main", "proxy", "sidecar")
	eventually(t, "the pod's success", func() (bool, string) {
		pod = onePod(t, ns, "e2e")
		return pod.Status.Phase == corev1.PodSucceeded, string(pod.Status.Phase)
	})
	for _, name := range []string{"proxy", "sidecar"} {
		inOrder(t,
			moment{"main ends", logs(t, ns, "essential", "main").when(t, "main ends")},
			moment{name + " gets SIGTERM", logs(t, ns, "essential", name).when(t, "got SIGTERM")},
		)
	}
}

// TestInModeExecTheCommandIsPID1 also checks that containers that hold for the command
// still see its end.
func TestInModeExecTheCommandIsPID1(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("exec", notes{"start-deps": "main: sidecar", "stop-deps": "sidecar: main", "mode": "main: exec"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [cat, /proc/1/comm]}`+sidecar))
	pod := ends(t, ns, "main", "sidecar")
	t.Run("own-02 the command is the container's first process", func(t *testing.T) {
		if out := logs(t, ns, "exec", "main"); !out.has("cat") {
			t.Errorf("PID 1 is another:\n%s", out)
		}
		for _, name := range []string{"main", "sidecar"} {
			if e := terminated(t, pod, name); e.ExitCode != 0 {
				t.Errorf("%s exited with %d (%s), want 0", name, e.ExitCode, e.Message)
			}
		}
	})
}

// TestTheStatusCommandTellsOfThePod runs koordinator status in a wrapped container.
func TestTheStatusCommandTellsOfThePod(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, waitingPod)
	says(t, ns, "waits", "main", "waiting")
	ask := func(args ...string) string {
		return kubectl(t, append([]string{"-n", ns, "exec", "waits", "-c", "main", "--", "/koordinator/bin/koordinator", "status"}, args...)...)
	}
	var table string
	eventually(t, "never's start", func() (bool, string) {
		table = ask()
		return strings.Contains(table, "running"), table
	})
	for _, want := range []string{"CONTAINER", "main", "waiting", "for never to be ready"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table does not say %q:\n%s", want, table)
		}
	}
	var all []struct {
		Container, State string
		For              []string
		Since            time.Time
	}
	if err := json.Unmarshal([]byte(ask("-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, c := range all {
		states[c.Container] = c.State
		if c.Since.IsZero() {
			t.Errorf("%s has no time", c.Container)
		}
	}
	if states["main"] != "waiting" || states["never"] != "running" {
		t.Errorf("states %v, want main waiting and never running", states)
	}
}
