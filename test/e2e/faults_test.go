//go:build e2e

package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// These tests reproduce faults that others reported, each with a pod that showed the wrong outcome.

// deleted applies a pod, waits until each of its containers has logged that it runs,
// deletes the pod and returns the logs.
func deleted(t *testing.T, manifest string, containers ...string) map[string]output {
	t.Helper()
	ns := namespace(t, enabled)
	apply(t, ns, manifest)
	name := onePod(t, ns, "e2e").Name
	follows := map[string]func() output{}
	for _, c := range containers {
		says(t, ns, name, c, c+" runs")
		follows[c] = follow(t, ns, name, c)
	}
	kubectl(t, "-n", ns, "delete", "pod", name, "--wait=false")
	all := map[string]output{}
	for c, end := range follows {
		all[c] = end()
	}
	return all
}

func TestA6AStopDependencyDoesNotEndTheHold(t *testing.T) {
	t.Parallel()
	const slow = `sh, -c, "trap 'SAY got SIGTERM; sleep 6; SAY NAME ends; exit 0' TERM; SAY NAME runs; sleep 3600 & wait $!"`
	const quick = `sh, -c, "trap 'SAY got SIGTERM; SAY NAME ends; exit 0' TERM; SAY NAME runs; sleep 3600 & wait $!"`
	container := func(name, command string) string {
		return "    - {name: " + name + ", image: \"busybox:1.37\", command: [" + strings.ReplaceAll(command, "NAME", name) + "]}\n"
	}
	spec := func(containers ...string) string {
		return "\n  restartPolicy: Never\n  terminationGracePeriodSeconds: 3600\n  containers:\n" + strings.Join(containers, "")
	}
	for name, asked := range map[string]notes{
		"of two stop dependencies": {"stop-deps": "held: quick, slow"},
		"of a start dependency":    {"start-deps": "slow: held=started", "essential": "quick"},
	} {
		t.Run(name, func(t *testing.T) {
			abreast(t)
			logs := deleted(t, podOf("holds", asked, spec(container("held", quick), container("quick", quick), container("slow", slow))), "held", "quick", "slow")
			inOrder(t,
				moment{"quick ends", logs["quick"].when(t, "quick ends")},
				moment{"slow ends", logs["slow"].when(t, "slow ends")},
				moment{"held gets SIGTERM", logs["held"].when(t, "got SIGTERM")},
			)
		})
	}
}

func TestA23AStopDependencyDoesNotCutThePodsStopShort(t *testing.T) {
	abreast(t)
	logs := deleted(t, podOf("mutual", notes{"essential": "a, b", "stop-timeout": "b: 2s"}, `
  restartPolicy: Never
  terminationGracePeriodSeconds: 3600
  containers:
    - {name: a, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; echo a runs; sleep 3600 & wait $!"]}
    - {name: b, image: "busybox:1.37", command: [sh, -c, "trap 'sleep 8; echo b ends by itself; exit 0' TERM; echo b runs; sleep 3600 & wait $!"]}
`), "a", "b")
	if !logs["b"].has("b ends by itself") {
		t.Errorf("b was cut short:\n%s", logs["b"])
	}
}

func TestA5NothingIsStartedWhileThePreStopHookRuns(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("late", notes{"start-deps": "main: agent"}, `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "echo main runs; sleep 3600 & wait $!"]
      lifecycle: {preStop: {exec: {command: [sh, -c, "touch /shared/hook; while ! test -e /shared/over; do sleep 0.1; done"]}}}
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: agent
      image: busybox:1.37
      command: [sh, -c, "trap '' TERM; while ! test -e /shared/hook; do sleep 0.1; done; touch /shared/ready; sleep 5; touch /shared/over; sleep 1"]
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 1, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	says(t, ns, "late", "main", "waiting")
	main := follow(t, ns, "late", "main")
	kubectl(t, "-n", ns, "delete", "pod", "late", "--wait=false")
	out := main()
	if out.has("main runs") {
		t.Errorf("main was started in a pod that is being deleted:\n%s", out)
	}
	if !out.has("preStop hook runs") {
		t.Errorf("main's wrapper did not see the hook:\n%s", out)
	}
}

func TestA4AThreadDumpLeavesNoTrace(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("dump", notes{"start-deps": "main: proxy"}, `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'echo dumped' QUIT; trap 'exit 0' TERM; echo main runs; while :; do sleep 0.2; done"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs; while :; do sleep 0.2; done"]
`))
	says(t, ns, "dump", "main", "main runs")
	inside(t, ns, "dump", "main", "kill", "-3", "1")
	says(t, ns, "dump", "main", "dumped")
	eventually(t, "main to be running and nothing else", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "exec", "dump", "-c", "main", "--", "/koordinator/bin/koordinator", "status", "-o", "json")
		return err == nil && !strings.Contains(out, `"stopping": true`) && strings.Contains(out, `"state": "running"`), out
	})
	proxy := follow(t, ns, "dump", "proxy")
	kubectl(t, "-n", ns, "exec", "dump", "-c", "proxy", "--", "kill", "1")
	if out := proxy(); !out.has("got SIGTERM") { // otherwise, the proxy would be held for the whole grace period
		t.Errorf("proxy ended without a signal:\n%s", out)
	}
}

func TestA7ACommandWhoseStopDependencyHoldsIsNotStartedAgain(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("again", notes{"stop-deps": "side: main"}, "backoffLimit: 6", `
  restartPolicy: OnFailure
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "while ! test -e /shared/failed; do sleep 0.1; done"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: side
      image: busybox:1.37
      command: [sh, -c, "echo x >>/shared/runs; touch /shared/failed; exit 3"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: counts
      image: busybox:1.37
      command: [sh, -c, "while ! test -e /shared/failed; do sleep 0.1; done; sleep 20; test $(wc -l </shared/runs) -eq 1"]
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	pod, condition := job(t, ns, "again")
	if condition != "Complete" {
		t.Fatalf("Job %s", condition)
	}
	side := terminated(t, pod, "side")
	if side.ExitCode != 0 || !strings.Contains(side.Message, "before the command was started") {
		t.Errorf("side ended with %d, %q", side.ExitCode, side.Message)
	}
	if s := status(t, pod, "counts"); s.RestartCount != 0 {
		t.Errorf("side's command ran more than once: counts was restarted %d times", s.RestartCount)
	}
}

func TestA13ALivenessProbeDoesNotEndWhatIsBeingStopped(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("drain", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "stop-timeout": "proxy: 1h"}, "backoffLimit: 0", `
  restartPolicy: OnFailure
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "touch /tmp/ok; trap 'rm /tmp/ok; sleep 12; echo drained; exit 0' TERM; while :; do sleep 0.2; done"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ok]}, periodSeconds: 1, timeoutSeconds: 60}
      livenessProbe: {exec: {command: [test, -e, /tmp/ok]}, initialDelaySeconds: 5, periodSeconds: 1, timeoutSeconds: 60, failureThreshold: 2, terminationGracePeriodSeconds: 1}
`))
	pod, condition := job(t, ns, "drain")
	if condition != "Complete" {
		t.Errorf("Job %s", condition)
	}
	if s := status(t, pod, "proxy"); s.RestartCount != 0 {
		t.Errorf("proxy was restarted %d times while it drained", s.RestartCount)
	}
	if out := logs(t, ns, pod.Name, "proxy"); !out.has("drained") {
		t.Errorf("proxy did not drain:\n%s", out)
	}
}

func TestA21TheCommandsGoVariablesDoNotReachTheWrapper(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("variables", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main has $GODEBUG"], env: [{name: GODEBUG, value: "fips140=auto"}]}
    - {name: proxy, image: "busybox:1.37", command: [sleep, "3600"], env: [{name: GOMEMLIMIT, value: 1GB}], readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1, timeoutSeconds: 60}}
`))
	eventually(t, "the end of the pod", func() (bool, string) {
		pod := onePod(t, ns, "e2e")
		return pod.Status.Phase == "Succeeded", string(pod.Status.Phase)
	})
	if out := logs(t, ns, "variables", "main"); !out.has("main has fips140=auto") {
		t.Errorf("main did not get its variable:\n%s", out)
	}
}

func TestA22NobodyWaitsForAnExitThatCannotBeSeen(t *testing.T) {
	abreast(t)
	logs := deleted(t, podOf("unseen", notes{"stop-deps": "proxy: app"}, `
  terminationGracePeriodSeconds: 3600
  containers:
    - {name: proxy, image: "busybox:1.37", command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]}
    - {name: app, image: "busybox:1.37", args: [sh, -c, "trap 'exit 0' TERM; echo app runs; sleep 3600 & wait $!"]}
`), "proxy", "app")
	if out := logs["proxy"]; !out.has("got SIGTERM") {
		t.Errorf("proxy was held until it was killed:\n%s", out)
	}
	if out := logs["app"]; !out.has("app runs") || out.has("from=koordinator") {
		t.Errorf("app is not the unwrapped container that this test needs:\n%s", out)
	}
}

func TestA31AnExitRequestIsSentUntilSomebodyListens(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, answering)
	apply(t, ns, jobOf("listens", notes{"exit-http": "main: POST http://127.0.0.1:15021/quit"}, "backoffLimit: 0", `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "echo main runs"]}
    - name: bare
      image: busybox:1.37
      command: [sh, -c, "sleep 6; nc -l -p 15021 -e sh /script/answer.sh"]
      volumeMounts: [{name: script, mountPath: /script}]
  volumes: [{name: script, configMap: {name: script}}]
`))
	pod, condition := job(t, ns, "listens")
	if condition != "Complete" {
		t.Errorf("Job %s", condition)
	}
	if out := logs(t, ns, pod.Name, "main"); !out.has("exit request sent") {
		t.Errorf("the request was not answered:\n%s", out)
	}
}

func TestA10ContainersThatRestartTogetherStartInOrderAgain(t *testing.T) {
	abreast(t)
	restartedTogether(t)
}

// restartedTogether runs a pod whose main container restarts all containers once, if the
// cluster has this feature. The second run of main fails unless migrate has run again, and
// the pod ends only if the proxy is stopped after the second run and not after the first.
func restartedTogether(t *testing.T) (pod corev1.Pod, ran bool) {
	t.Helper()
	ns := namespace(t, enabled)
	if !canRestartTogether(t, ns) {
		return corev1.Pod{}, false
	}
	apply(t, ns, podOf("together", notes{"start-deps": "main: [migrate=succeeded, proxy]", "stop-deps": "proxy: main"}, `
  restartPolicy: Never
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "test -e /shared/migrated || exit 3; rm /shared/migrated; test -e /shared/second && exit; touch /shared/second; exit 42"]
      restartPolicy: Never
      restartPolicyRules: [{action: RestartAllContainers, exitCodes: {operator: In, values: [42]}}]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: migrate
      image: busybox:1.37
      command: [sh, -c, "sleep 2; touch /shared/migrated; echo migrated >>/shared/runs"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'echo migrations: $(wc -l </shared/runs); exit 0' TERM; sleep 3600 & wait $!"]
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	pod = ended(t, ns, "together")
	for _, c := range pod.Spec.Containers {
		if s := terminated(t, pod, c.Name); s.ExitCode != 0 {
			t.Errorf("%s ended with code %d: %s", c.Name, s.ExitCode, s.Message)
		}
	}
	if out := logs(t, ns, "together", "proxy"); !out.has("migrations: 2") {
		t.Errorf("the proxy was not stopped after the second migration:\n%s", out)
	}
	return pod, true
}

// TestA1AWaitingContainerSurvivesTheKubeletsRestart uses a container witness that is probed
// as often as main. Its log shows when the kubelet has probed it after the restart.
func TestA1AWaitingContainerSurvivesTheKubeletsRestart(t *testing.T) {
	ns := namespace(t, enabled)
	apply(t, ns, podOf("survives", notes{"start-deps": "main: proxy\nreport: main", "source": "report: pod"}, `
  restartPolicy: Never
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "echo main runs; sleep 3600"]
      livenessProbe: {exec: {command: [test, -e, /tmp/never]}, periodSeconds: 1, failureThreshold: 1, timeoutSeconds: 60}
    - {name: proxy, image: "busybox:1.37", command: [sleep, "3600"], readinessProbe: {exec: {command: [test, -e, /tmp/go]}, periodSeconds: 1, timeoutSeconds: 60}}
    - {name: report, image: "busybox:1.37", command: [sh, -c, "echo report runs; sleep 3600"]}
    - name: witness
      image: busybox:1.37
      command: [sh, -c, "echo witness runs; sleep 3600"]
      livenessProbe: {exec: {command: [sh, -c, "echo x >>/tmp/probed"]}, periodSeconds: 1, timeoutSeconds: 60}
`))
	says(t, ns, "survives", "main", "waiting")
	says(t, ns, "survives", "report", "waiting")
	says(t, ns, "survives", "witness", "witness runs")
	if err := cluster.Control(t.Context(), "restart", "kubelet"); err != nil {
		t.Fatal(err)
	}
	inside(t, ns, "survives", "witness", "sh", "-c", "rm -f /tmp/probed")
	inside(t, ns, "survives", "witness", "sh", "-c", "test $(wc -l </tmp/probed) -ge 10")
	pod := onePod(t, ns, "e2e")
	main := status(t, pod, "main")
	if main.State.Running == nil || main.RestartCount != 0 || main.Ready {
		t.Errorf("main waits, and its status is %+v", main)
	}
	if out := logs(t, ns, "survives", "main"); out.has("main runs") {
		t.Errorf("main was started:\n%s", out)
	}
	if out := logs(t, ns, "survives", "report"); out.has("report runs") {
		t.Errorf("report took main for started:\n%s", out)
	}
}
