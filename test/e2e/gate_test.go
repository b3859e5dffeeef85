//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestKubernetesSeesTheTruthWhileAContainerWaits watches a container through a
// minute of waiting, whose liveness probe would kill it after a second.
func TestKubernetesSeesTheTruthWhileAContainerWaits(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {e2e: ''}, ports: [{port: 80, targetPort: 8080}]}")
	slices := cluster.KubectlCommand(t.Context(), "-n", ns, "get", "endpointslices", "-l", "kubernetes.io/service-name=web", "--watch", "-o", "json")
	stdout, err := slices.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := slices.Start(); err != nil {
		t.Fatal(err)
	}
	apply(t, ns, podOf("waits", notes{
		"start-deps": "main: beside=exited", "start-timeout": "main: 60s", "on-start-timeout": "main: start",
	}, `
  restartPolicy: OnFailure
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "touch /tmp/alive; echo main runs; trap 'exit 0' TERM; sleep 3600 & wait"]
      livenessProbe: {exec: {command: [test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10}
    - {name: beside, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]}
`))

	before, first := untilServed(t, json.NewDecoder(stdout))
	_ = slices.Process.Kill()
	_ = slices.Wait()
	main := logs(t, ns, "waits", "main")
	pod := onePod(t, ns, "e2e")
	t.Run("kube-probe-02 kube-probe-04 a Service sends no traffic to a pod while it waits", func(t *testing.T) {
		if before == 0 {
			t.Error("the watch never saw the pod as one that is not ready")
		}
		inOrder(t, moment{"main runs", main.when(t, "main runs")}, moment{"the Service has an address", first})
	})
	t.Run("a liveness probe does not restart what waits", func(t *testing.T) {
		if n := status(t, pod, "main").RestartCount; n != 0 {
			t.Errorf("%d restarts", n)
		}
		if waited := main.when(t, "main runs").Sub(main.when(t, "waiting")); waited < 59*time.Second {
			t.Errorf("main waited %s only, want a minute", waited)
		}
	})
	t.Run("the pod's few events say what is waited for", func(t *testing.T) {
		if out := kubectl(t, "-n", ns, "describe", "pod", "waits"); !strings.Contains(out, "waiting for beside to exit") {
			t.Errorf("kubectl describe does not name what is waited for:\n%s", out)
		}
		if n := unhealthy(t, ns); n < 1 || n > 3 {
			t.Errorf("%d events about probes in a minute, want 1 to 3", n)
		}
	})
}

// untilServed reads a watch of endpoint slices until one has a ready address:
// how many addresses that were not ready came before, and when the ready one did.
func untilServed(t *testing.T, slices *json.Decoder) (before int, first time.Time) {
	t.Helper()
	for {
		var slice discoveryv1.EndpointSlice
		if err := slices.Decode(&slice); err != nil {
			t.Fatalf("read the watch of endpoint slices: %v", err)
		}
		for _, e := range slice.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				return before, time.Now()
			}
			before++
		}
	}
}

// unhealthy is how many times the kubelet has told of failed probes.
func unhealthy(t *testing.T, ns string) int32 {
	t.Helper()
	var list corev1.EventList
	out := kubectl(t, "-n", ns, "get", "events", "--field-selector", "reason=Unhealthy", "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var n int32
	for _, e := range list.Items {
		n += max(e.Count, 1)
	}
	return n
}

// TestAStartupProbeOfTheContainersOwnIsTakenOver has a dependency that takes
// longer than any of the startup probes would allow.
func TestAStartupProbeOfTheContainersOwnIsTakenOver(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, podOf("startup", notes{"start-deps": "{web: slow, file: slow, broken: slow}"}, `
  restartPolicy: Never
  containers:
    - name: web
      image: busybox:1.37
      command: [sh, -c, "echo web runs; trap 'exit 0' TERM; sleep 1; httpd -p 8080 -h /etc; sleep 3600 & wait"]
      startupProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 1, failureThreshold: 5}
    - name: file
      image: busybox:1.37
      command: [sh, -c, "echo file runs; trap 'exit 0' TERM; sleep 1; touch /tmp/up; sleep 3600 & wait"]
      startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 1, failureThreshold: 5}
    - name: broken
      image: busybox:1.37
      command: [sh, -c, "echo broken runs; trap 'echo got SIGTERM; exit 9' TERM; sleep 3600 & wait"]
      startupProbe: {exec: {command: ["false"]}, periodSeconds: 2, failureThreshold: 3}
    - name: slow
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; sleep 8; touch /tmp/ready; echo ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
`))
	pod := ends(t, ns, "broken")
	t.Run("kube-probe-11 the threshold counts from the command's start, and its consequence is the kubelet's", func(t *testing.T) {
		if code := terminated(t, pod, "broken").ExitCode; code != 9 {
			t.Errorf("broken exited with %d, want its own 9", code)
		}
		ready, broken := logs(t, ns, "startup", "slow").when(t, "ready"), logs(t, ns, "startup", "broken")
		runs, asked := broken.when(t, "broken runs"), broken.when(t, "got SIGTERM")
		inOrder(t, moment{"slow is ready", ready}, moment{"broken runs", runs})
		if lived := asked.Sub(runs); lived < 3*time.Second {
			t.Errorf("broken was stopped %s after its start, before three failures two seconds apart", lived)
		}
	})
	t.Run("those that pass their startup probe count as started", func(t *testing.T) {
		for _, name := range []string{"web", "file"} {
			if s := status(t, pod, name); s.State.Running == nil || s.Started == nil || !*s.Started {
				t.Errorf("%s has not started: %+v", name, s)
			}
		}
	})
}

// TestAPostStartHookOfAWaitingContainerIsTakenOver has a hook that waits for
// its command: the kubelet, which starts the later containers after the hook,
// would wait for ever.
func TestAPostStartHookOfAWaitingContainerIsTakenOver(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, podOf("hooks", notes{"start-deps": "{hooked: later, broken: later}"}, `
  restartPolicy: Never
  containers:
    - name: hooked
      image: busybox:1.37
      command: [sh, -c, "echo hooked runs; touch /tmp/up; until test -e /tmp/hook; do sleep 0.1; done; echo the hook ran"]
      lifecycle: {postStart: {exec: {command: [sh, -c, "until test -e /tmp/up; do sleep 0.1; done; touch /tmp/hook"]}}}
    - name: broken
      image: busybox:1.37
      command: [sh, -c, "echo broken runs; trap 'echo got SIGTERM; exit 9' TERM; sleep 3600 & wait"]
      lifecycle: {postStart: {exec: {command: [sh, -c, "sleep 1; exit 3"]}}}
    - name: later
      image: busybox:1.37
      command: [sh, -c, "echo later runs; sleep 10"]
`))
	pod := ends(t, ns, "hooked", "broken")
	hooked, later := logs(t, ns, "hooks", "hooked"), logs(t, ns, "hooks", "later")
	inOrder(t,
		moment{"later runs", later.when(t, "later runs")},
		moment{"hooked runs", hooked.when(t, "hooked runs")},
		moment{"the hook ran", hooked.when(t, "the hook ran")},
	)
	if code := terminated(t, pod, "hooked").ExitCode; code != 0 {
		t.Errorf("hooked exited with %d, want 0", code)
	}
	broken := terminated(t, pod, "broken")
	if broken.ExitCode != 9 || !strings.Contains(broken.Message, "postStart hook") {
		t.Errorf("broken exited with %d and %q, want 9 and that its postStart hook failed", broken.ExitCode, broken.Message)
	}
}

// TestALateStartDoesNotEatTheLivenessDelay: the delay of a container that
// starts seconds after its wrapper is counted from its start.
func TestALateStartDoesNotEatTheLivenessDelay(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, podOf("delay", notes{"start-deps": "{lives: slow, dies: slow}"}, `
  restartPolicy: Never
  containers:
    - name: lives
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 9' TERM; sleep 3; touch /tmp/alive; sleep 7 & wait"]
      livenessProbe: {exec: {command: [test, -e, /tmp/alive]}, initialDelaySeconds: 6, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10}
    - name: dies
      image: busybox:1.37
      command: [sh, -c, "echo dies runs; trap 'echo got SIGTERM; exit 9' TERM; sleep 3600 & wait"]
      livenessProbe: {exec: {command: ["false"]}, initialDelaySeconds: 6, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 10}
    - name: slow
      image: busybox:1.37
      command: [sh, -c, "sleep 6; touch /tmp/ready; sleep 20"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
`))
	pod := ends(t, ns, "lives", "dies")
	t.Run("kube-probe-08 the liveness delay counts from the command's start", func(t *testing.T) {
		if code := terminated(t, pod, "lives").ExitCode; code != 0 {
			t.Errorf("the container was killed before its delay was over: exit code %d", code)
		}
		dies := logs(t, ns, "delay", "dies")
		if lived := dies.when(t, "got SIGTERM").Sub(dies.when(t, "dies runs")); lived < 5500*time.Millisecond {
			t.Errorf("killed %s after the start, within its delay of 6s", lived)
		}
	})
}
