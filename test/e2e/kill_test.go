//go:build e2e

package e2e

import (
	"fmt"
	"testing"
)

// killed is the spec of a Job's pod that files control: proxy is ready if /shared/ready
// exists, main ends if /shared/end exists, and proxy ignores its stop request if
// /shared/stuck exists. No other event ends a container before the test gives up.
const killed = `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 8' TERM; echo main runs; until test -e /shared/end; do sleep 0.2; done"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'rm /shared/stuck || exit 0; echo proxy is stopping; sleep 3600' TERM; echo proxy runs; while :; do sleep 0.2; done"]
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 10, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
  restartPolicy: `

// stages lists the stages at which a container of such a Job is killed.
var stages = []struct {
	name        string
	victim      string
	files       []string          // files that bring the pod to this stage
	when, says  string            // the container whose log shows that the stage is reached, and the text
	release     map[string]string // by restart policy, the container in which the remaining files are created
	main, proxy int32             // their exit codes under restartPolicy Never
}{
	{"main while it waits", "main", nil, "main", "waiting", map[string]string{"OnFailure": "proxy"}, 137, 0},
	{"proxy while main waits for it", "proxy", nil, "proxy", "proxy runs", map[string]string{"OnFailure": "main"}, 69, 137},
	{"main while it runs", "main", []string{"/shared/ready"}, "main", "main runs", map[string]string{"OnFailure": "proxy"}, 137, 0},
	{"proxy while main runs", "proxy", []string{"/shared/ready"}, "main", "main runs", map[string]string{"OnFailure": "main", "Never": "main"}, 0, 137},
	{"proxy while it is being stopped", "proxy", []string{"/shared/stuck", "/shared/ready", "/shared/end"}, "proxy", "proxy is stopping", nil, 0, 137},
}

// TestAKilledWrapperNeverLeavesThePodHanging kills the first process of each container at
// each stage of a Job. The Job must end, although no timeout ends it.
func TestAKilledWrapperNeverLeavesThePodHanging(t *testing.T) {
	t.Parallel()
	for _, tt := range stages {
		for policy, ending := range map[string]string{"Never": "Failed", "OnFailure": "Complete"} {
			t.Run(tt.name+" under "+policy, func(t *testing.T) {
				abreast(t)
				ns := namespace(t, enabled)
				apply(t, ns, jobOf("killed", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "stop-timeout": "1h"}, "backoffLimit: "+backoff[policy], killed+policy))
				if tt.files != nil {
					inside(t, ns, "job/killed", "proxy", append([]string{"touch"}, tt.files...)...)
				}
				says(t, ns, "job/killed", tt.when, tt.says)
				killedIn(t, ns, tt.victim, killFirst(t, ns, tt.victim))
				if in := tt.release[policy]; in != "" {
					inside(t, ns, "job/killed", in, "touch", "/shared/ready", "/shared/end")
				}
				pod, condition := job(t, ns, "killed")
				if condition != ending {
					t.Errorf("Job %s, want %s", condition, ending)
				}
				if policy == "OnFailure" {
					return // under OnFailure, the codes are from later incarnations
				}
				for name, want := range map[string]int32{"main": tt.main, "proxy": tt.proxy} {
					if e := terminated(t, pod, name); e.ExitCode != want {
						t.Errorf("%s exited with %d (%s), want %d", name, e.ExitCode, e.Message, want)
					}
				}
			})
		}
	}
}

// TestAWrapperKilledWhileThePodStopsHoldsNothingUp kills main, for which proxy holds, and
// in another run proxy while it holds. The pod must be gone long before the end of its
// grace period.
func TestAWrapperKilledWhileThePodStopsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"main", "proxy"} {
		t.Run(victim, func(t *testing.T) {
			abreast(t)
			ns := namespace(t, enabled)
			apply(t, ns, podOf("stops", notes{"start-deps": "main: proxy"}, `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "trap 'echo main is stopping; until test -e /tmp/end; do sleep 0.2; done; echo main ends; exit 0' TERM; echo main runs; sleep 3600 & wait $!"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'echo got SIGTERM; exit 0' TERM; echo proxy runs; sleep 3600 & wait $!"]
`))
			says(t, ns, "stops", "main", "main runs")
			main, proxy := follow(t, ns, "stops", "main"), follow(t, ns, "stops", "proxy")
			kubectl(t, "-n", ns, "delete", "pod", "stops", "--wait=false")
			says(t, ns, "stops", "main", "main is stopping")
			says(t, ns, "stops", "proxy", "stop request held")
			killFirst(t, ns, victim)
			if victim == "proxy" {
				inside(t, ns, "stops", "main", "touch", "/tmp/end")
			}
			m, p := main(), proxy()
			eventually(t, "the pod to be gone", func() (bool, string) {
				left := kubectl(t, "-n", ns, "get", "pod", "-l", "e2e", "-o", "yaml", "--ignore-not-found")
				return len(pods(t, ns, "e2e")) == 0, left
			})
			if ended := m.has("main ends"); ended != (victim == "proxy") {
				t.Errorf("main ended by itself: %v:\n%s", ended, m)
			}
			if asked := p.has("got SIGTERM"); asked != (victim == "main") {
				t.Errorf("proxy was asked to stop: %v:\n%s", asked, p)
			}
		})
	}
}

// backoff maps restart policies to backoffLimit.
var backoff = map[string]string{"Never": "0", "OnFailure": "6"}

// hungry is the spec of a Job's pod whose main uses up its memory the first time. The second
// time, it runs until a file exists.
const hungry = `
  terminationGracePeriodSeconds: 3600
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "if test -e /once/main; then until test -e /once/end; do sleep 0.2; done; exit 0; fi; touch /once/main; exec tail /dev/zero"]
      resources: {limits: {memory: 64Mi}}
      volumeMounts: [{name: once, mountPath: /once}]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; echo proxy runs; sleep 3600 & wait"]
  volumes: [{name: once, emptyDir: {}}]
  restartPolicy: `

// TestAContainerOutOfMemoryNeverLeavesThePodHanging lets the kernel kill the command alone
// or, in exec mode, the container's first process with it. No timeout ends the Job.
func TestAContainerOutOfMemoryNeverLeavesThePodHanging(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, mode string }{
		{"the command is killed, its wrapper is not", "supervise"},
		{"the container's first process is killed", "exec"},
	} {
		for policy, ending := range map[string]string{"Never": "Failed", "OnFailure": "Complete"} {
			if tt.mode == "exec" && policy == "OnFailure" {
				continue // rejected: in this mode, the exit code decides whether the exit is permanent
			}
			t.Run(tt.name+" under "+policy, func(t *testing.T) {
				abreast(t)
				ns := namespace(t, enabled)
				apply(t, ns, jobOf("hungry", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "stop-timeout": "proxy: 1h", "mode": "main: " + tt.mode},
					"backoffLimit: "+backoff[policy], hungry+policy))
				want := int32(137)
				if policy == "OnFailure" {
					says(t, ns, "job/hungry", "proxy", "proxy runs")
					eventually(t, "the second run", func() (bool, string) {
						main := seen(onePod(t, ns, "e2e"), "main")
						last := main.LastTerminationState.Terminated
						return main.State.Running != nil && last != nil && last.ExitCode == want, fmt.Sprintf("%+v", main)
					})
					inside(t, ns, "job/hungry", "main", "touch", "/once/end")
					want = 0
				}
				pod, condition := job(t, ns, "hungry")
				if condition != ending {
					t.Errorf("Job %s, want %s", condition, ending)
				}
				if e := terminated(t, pod, "main"); e.ExitCode != want {
					t.Errorf("main exited with %d, want %d", e.ExitCode, want)
				}
				if e := terminated(t, pod, "proxy"); e.ExitCode != 0 {
					t.Errorf("proxy exited with %d, want 0", e.ExitCode)
				}
			})
		}
	}
}
