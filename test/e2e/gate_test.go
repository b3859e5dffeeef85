//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestKubernetesSeesTheTruthWhileAContainerWaits observes a container until it has waited
// for half a minute. Its liveness probe would otherwise kill it after a second.
func TestKubernetesSeesTheTruthWhileAContainerWaits(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {e2e: ''}, ports: [{port: 80, targetPort: 8080}]}")
	watch, stdout := streaming(t, "-n", ns, "get", "endpointslices", "-l", "kubernetes.io/service-name=web", "--watch", "-o", "json")
	apply(t, ns, podOf("waits", notes{"start-deps": "main: beside"}, `
  restartPolicy: OnFailure
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "touch /tmp/alive; trap 'exit 0' TERM; SAY main runs; sleep 3600 & wait"]
      livenessProbe: {exec: {command: [test, -e, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 300}
    - name: beside
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; until test -e /tmp/end; do sleep 0.1; done; SAY beside is ready; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1, timeoutSeconds: 60}
`))
	eventually(t, "an event that says what is waited for", func() (bool, string) {
		out := kubectl(t, "-n", ns, "describe", "pod", "waits")
		return strings.Contains(out, "for: beside to be ready"), out
	})
	if n := unhealthy(t, ns, "main"); n > 5 {
		t.Errorf("%d events about probes, want at most 5 in half a minute: the kubelet emits few for a pod", n)
	}
	inside(t, ns, "waits", "beside", "touch", "/tmp/end")

	before, first := untilServed(t, json.NewDecoder(stdout))
	_ = watch.Process.Kill()
	_ = watch.Wait()
	main := logs(t, ns, "waits", "main")
	pod := onePod(t, ns, "e2e")
	t.Run("kube-probe-02 kube-probe-04 a Service sends no traffic to a pod while it waits", func(t *testing.T) {
		if before == 0 {
			t.Error("the watch never saw the pod as one that is not ready")
		}
		inOrder(t,
			moment{"beside is ready", logs(t, ns, "waits", "beside").when(t, "beside is ready")},
			moment{"main runs", main.when(t, "main runs")},
			moment{"the Service has an address", first},
		)
	})
	t.Run("a liveness probe does not restart what waits", func(t *testing.T) {
		if n := status(t, pod, "main").RestartCount; n != 0 {
			t.Errorf("%d restarts", n)
		}
	})
}

// untilServed reads a watch of endpoint slices until one has a ready address. It returns
// the number of addresses that were not ready before, and the time of the first ready one.
func untilServed(t *testing.T, events *json.Decoder) (before int, first time.Time) {
	t.Helper()
	for {
		var slice discoveryv1.EndpointSlice
		if err := events.Decode(&slice); err != nil {
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

// unhealthy returns the number of events from the kubelet about failed probes of these
// containers, or of all containers if none is given.
func unhealthy(t *testing.T, ns string, containers ...string) int32 {
	t.Helper()
	var list corev1.EventList
	out := kubectl(t, "-n", ns, "get", "events", "--field-selector", "reason=Unhealthy", "-o", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	var n int32
	for _, e := range list.Items {
		name := strings.TrimSuffix(strings.TrimPrefix(e.InvolvedObject.FieldPath, "spec.containers{"), "}")
		if len(containers) == 0 || slices.Contains(containers, name) {
			n += max(e.Count, 1)
		}
	}
	return n
}

// TestAStartupProbeOfTheContainersOwnIsTakenOver uses a dependency that takes longer than
// half a minute, which is the limit of each startup probe.
func TestAStartupProbeOfTheContainersOwnIsTakenOver(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("startup", notes{"start-deps": "{web: slow, file: slow, broken: slow}"}, `
  restartPolicy: Never
  containers:
    - name: web
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; httpd -p 8080 -h /etc; sleep 3600 & wait"]
      startupProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 3, failureThreshold: 10, timeoutSeconds: 60}
    - name: file
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; touch /tmp/up; sleep 3600 & wait"]
      startupProbe: {exec: {command: [test, -e, /tmp/up]}, periodSeconds: 3, failureThreshold: 10, timeoutSeconds: 60}
    - name: broken
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 9' TERM; sleep 3600 & wait"]
      startupProbe: {exec: {command: ["false"]}, periodSeconds: 2, failureThreshold: 3, timeoutSeconds: 60}
    - name: slow
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; sleep 40; SAY ready; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 10, timeoutSeconds: 60}
`))
	ends(t, ns, "broken")
	eventually(t, "web and file to have started", func() (bool, string) {
		pod := onePod(t, ns, "e2e")
		for _, name := range []string{"web", "file"} {
			if s := status(t, pod, name); s.State.Running == nil || s.Started == nil || !*s.Started || s.RestartCount > 0 {
				return false, fmt.Sprintf("%+v", s)
			}
		}
		return true, ""
	})
	pod := onePod(t, ns, "e2e")
	t.Run("kube-probe-11 the threshold counts from the command's start, and its consequence is the kubelet's", func(t *testing.T) {
		if code := terminated(t, pod, "broken").ExitCode; code != 9 {
			t.Errorf("broken exited with %d, want its own 9", code)
		}
		ready, asked := logs(t, ns, "startup", "slow").when(t, " ready"), logs(t, ns, "startup", "broken").when(t, "got SIGTERM")
		// The probe fails three times, at intervals of two seconds.
		notBefore(t, moment{"slow is ready", ready}, 4*time.Second, moment{"broken gets SIGTERM", asked})
	})
}

// TestAPostStartHookOfAWaitingContainerIsTakenOver uses a hook that waits for its command.
// The kubelet starts the later containers after the hook, so it would otherwise wait
// indefinitely.
func TestAPostStartHookOfAWaitingContainerIsTakenOver(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("hooks", notes{"start-deps": "{hooked: later, broken: later}"}, `
  restartPolicy: Never
  containers:
    - name: hooked
      image: busybox:1.37
      command: [sh, -c, "SAY hooked runs; touch /tmp/up; until test -e /tmp/hook; do sleep 0.1; done; SAY the hook ran"]
      lifecycle: {postStart: {exec: {command: [sh, -c, "until test -e /tmp/up; do sleep 0.1; done; touch /tmp/hook"]}}}
    - name: broken
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 9' TERM; touch /tmp/up; sleep 3600 & wait"]
      lifecycle: {postStart: {exec: {command: [sh, -c, "until test -e /tmp/up; do sleep 0.1; done; exit 3"]}}}
    - name: later
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; SAY later runs; sleep 3600 & wait"]
`))
	pod := ends(t, ns, "hooked", "broken")
	hooked, later := logs(t, ns, "hooks", "hooked"), logs(t, ns, "hooks", "later")
	inOrder(t,
		moment{"later is started", later.when(t, "command started")},
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

// TestALateStartDoesNotEatTheLivenessDelay checks that the delay counts from the start of
// the command, which is as many seconds after the start of its wrapper.
func TestALateStartDoesNotEatTheLivenessDelay(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("delay", notes{"start-deps": "dies: slow"}, `
  restartPolicy: Never
  containers:
    - name: dies
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 9' TERM; sleep 3600 & wait"]
      livenessProbe: {exec: {command: ["false"]}, initialDelaySeconds: 10, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 60}
    - name: slow
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; sleep 10; SAY ready; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 10, timeoutSeconds: 60}
`))
	pod := ends(t, ns, "dies")
	t.Run("kube-probe-08 the liveness delay counts from the command's start", func(t *testing.T) {
		if code := terminated(t, pod, "dies").ExitCode; code != 9 {
			t.Errorf("dies exited with %d, want its own 9", code)
		}
		ready, asked := logs(t, ns, "delay", "slow").when(t, " ready"), logs(t, ns, "delay", "dies").when(t, "got SIGTERM")
		notBefore(t, moment{"slow is ready", ready}, 10*time.Second, moment{"dies gets SIGTERM", asked})
	})
}
