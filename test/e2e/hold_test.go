//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// held is the spec of a pod whose main takes time to end. PRESTOP stands for its preStop
// hook. The pod must be gone before its grace period, or a part of it, is over.
const held = `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; sleep 5; SAY main ends; exit 0' TERM; SAY main runs; sleep 3600 & wait $!"]
      lifecycle: {preStop: PRESTOP}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]
`

// TestADependencyIsStoppedAfterItsDependants uses dependents, and hooks, that take longer
// than a stop request is held for a container that is restarted alone.
func TestADependencyIsStoppedAfterItsDependants(t *testing.T) {
	t.Parallel()
	start := notes{"start-deps": "main: proxy"}
	for name, tt := range map[string]struct {
		manifest string
		preStop  string // replaces PRESTOP
		sleeps   time.Duration
	}{
		"of a pod":                                     {podOf("held", start, held), "", 0},
		"of a pod that only reads its status":          {podOf("held", notes{"start-deps": "main: proxy", "source": "pod"}, held), "", 0},
		"of a pod with a hook that runs a command":     {podOf("held", start, held), "{exec: {command: [sleep, '4']}}", 4 * time.Second},
		"of a Deployment's pod with a hook that waits": {deploymentOf("held", start, held), "{sleep: {seconds: 4}}", 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			abreast(t)
			ns := namespace(t, enabled)
			hook := "lifecycle: {preStop: " + tt.preStop + "}"
			if tt.preStop == "" {
				hook = ""
			}
			apply(t, ns, strings.Replace(tt.manifest, "lifecycle: {preStop: PRESTOP}", hook, 1))
			eventually(t, "the pod", func() (bool, string) { return len(pods(t, ns, "e2e")) == 1, "" })
			pod := onePod(t, ns, "e2e").Name
			says(t, ns, pod, "main", "main runs")
			main, proxy := follow(t, ns, pod, "main"), follow(t, ns, pod, "proxy")
			asked := moment{"the pod is deleted", time.Now()}
			kubectl(t, "-n", ns, "delete", "pod", pod, "--wait=false")
			m, p := main(), proxy()
			notBefore(t, asked, tt.sleeps, moment{"main gets SIGTERM", m.when(t, "got SIGTERM")})
			inOrder(t,
				moment{"main gets SIGTERM", m.when(t, "got SIGTERM")},
				moment{"main ends", m.when(t, "main ends")},
				moment{"proxy gets SIGTERM", p.when(t, "got SIGTERM")},
			)
		})
	}
}

// TestALongHookLeavesTimeToStop has a dependent that never ends by itself. The proxy must get
// its signal before the grace period, of which its hook uses a part, is over.
func TestALongHookLeavesTimeToStop(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("hooked", notes{"start-deps": "main: proxy"}, `
  terminationGracePeriodSeconds: 60
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap '' TERM; echo main runs; while :; do sleep 1; done"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]
      lifecycle: {preStop: {sleep: {seconds: 20}}}
`))
	says(t, ns, "hooked", "main", "main runs")
	proxy := follow(t, ns, "hooked", "proxy")
	kubectl(t, "-n", ns, "delete", "pod", "hooked", "--wait=false")
	if out := proxy(); !out.has("got SIGTERM") {
		t.Errorf("the proxy was killed without its signal:\n%s", out)
	}
}

// deploymentOf returns a Deployment with one such pod.
func deploymentOf(name string, n notes, spec string) string {
	d := jobOf(name, n, "selector: {matchLabels: {e2e: ''}}", spec)
	return strings.Replace(d, "apiVersion: batch/v1\nkind: Job", "apiVersion: apps/v1\nkind: Deployment", 1)
}

// TestAContainerRestartedAloneIsNotHeldForLong makes the liveness probe of a dependency
// fail. The hold of its stop request must end long before the grace period would end it.
func TestAContainerRestartedAloneIsNotHeldForLong(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("alone", notes{"start-deps": "main: proxy"}, `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo main runs; sleep 3600 & wait $!"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]
      livenessProbe: {exec: {command: [sh, -c, "! test -e /tmp/dead"]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 300}
`))
	says(t, ns, "alone", "main", "main runs")
	whole := follow(t, ns, "alone", "proxy")
	kubectl(t, "-n", ns, "exec", "alone", "-c", "proxy", "--", "touch", "/tmp/dead")
	proxy := whole()
	for _, want := range []string{"stop request held", "got SIGTERM"} {
		if !proxy.has(want) {
			t.Errorf("proxy did not say %q:\n%s", want, proxy)
		}
	}
	eventually(t, "the proxy's restart", func() (bool, string) {
		s := status(t, onePod(t, ns, "e2e"), "proxy")
		return s.RestartCount == 1 && s.State.Running != nil, s.State.String()
	})
	if s := status(t, onePod(t, ns, "e2e"), "main"); s.State.Running == nil || s.RestartCount != 0 {
		t.Errorf("main does not run on: %+v", s)
	}
	if out := logs(t, ns, "alone", "main"); out.has("got SIGTERM") {
		t.Errorf("main was stopped:\n%s", out)
	}
}

// TestTheContainersOwnStopSignalIsUsed checks this for the pod's stop request and for
// koordinator's own, after a stop dependency is met.
func TestTheContainersOwnStopSignalIsUsed(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("signals", notes{"start-deps": "main: proxy", "stop-deps": "beside: done"}, `
  restartPolicy: Never
  os: {name: linux}
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; sleep 1; SAY main ends; exit 0' TERM; echo main runs; sleep 3600 & wait $!"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGUSR1; exit 0' USR1; trap 'echo got SIGTERM; exit 1' TERM; echo proxy runs; sleep 3600 & wait $!"]
      lifecycle: {stopSignal: SIGUSR1}
    - name: beside
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGUSR2; exit 0' USR2; trap 'echo got SIGTERM; exit 1' TERM; touch /shared/beside; sleep 3600 & wait $!"]
      lifecycle: {stopSignal: SIGUSR2}
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: done
      image: busybox:1.37
      command: [sh, -c, "until test -e /shared/beside; do sleep 0.1; done"]
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	ends(t, ns, "beside")
	if out := logs(t, ns, "signals", "beside"); !out.has("got SIGUSR2") || out.has("got SIGTERM") {
		t.Errorf("beside was not stopped by SIGUSR2:\n%s", out)
	}
	says(t, ns, "signals", "main", "main runs")
	main, proxy := follow(t, ns, "signals", "main"), follow(t, ns, "signals", "proxy")
	kubectl(t, "-n", ns, "delete", "pod", "signals", "--wait=false")
	m, p := main(), proxy()
	inOrder(t, moment{"main ends", m.when(t, "main ends")}, moment{"proxy gets SIGUSR1", p.when(t, "got SIGUSR1")})
	if p.has("got SIGTERM") {
		t.Errorf("proxy got SIGTERM, too:\n%s", p)
	}
}
