//go:build e2e

package e2e

import (
	"testing"
	"time"
)

// prompt is how long a Job may take to its end after something of it was
// killed: less than any timeout of ours that could have ended it.
const prompt = 25 * time.Second

// killed is the spec of the sample Job's pod with moments long enough to kill
// something in.
const killed = `
  terminationGracePeriodSeconds: 30
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "echo main runs; trap 'exit 8' TERM; sleep 4 & wait $!"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "echo proxy runs; trap 'echo proxy is stopping; sleep 4; exit 0' TERM; sleep 3; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
  restartPolicy: `

// TestAKilledWrapperNeverLeavesThePodHanging kills the first process of each
// container at each stage of the sample Job.
func TestAKilledWrapperNeverLeavesThePodHanging(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		victim      string
		when, says  string // the container that says what to wait for before
		never       string // how a Job ends under restartPolicy Never
		main, proxy int32  // their exit codes then
	}{
		{"main while it waits", "main", "main", "waiting", "Failed", 137, 0},
		{"proxy while main waits for it", "proxy", "proxy", "proxy runs", "Failed", 69, 137},
		{"main while it runs", "main", "main", "main runs", "Failed", 137, 0},
		{"proxy while main runs", "proxy", "main", "main runs", "Failed", 0, 137},
		{"proxy while it is being stopped", "proxy", "proxy", "proxy is stopping", "Failed", 0, 137},
	} {
		for policy, ending := range map[string]string{"Never": tt.never, "OnFailure": "Complete"} {
			t.Run(tt.name+" under "+policy, func(t *testing.T) {
				t.Parallel()
				ns := namespace(t, enabled)
				apply(t, ns, jobOf("killed", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "backoffLimit: "+backoff[policy], killed+policy))
				says(t, ns, "job/killed", tt.when, tt.says)
				at := killFirst(t, onePod(t, ns, "e2e"), tt.victim)
				pod, condition := job(t, ns, "killed")
				if took := time.Since(at); took > prompt {
					t.Errorf("the Job ended %s after the wrapper was killed", took)
				}
				if condition != ending {
					t.Errorf("Job %s, want %s", condition, ending)
				}
				if policy == "OnFailure" {
					return // those codes are of later incarnations
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

// TestAWrapperKilledWhileThePodStopsHoldsNothingUp kills main, which proxy holds
// for, and proxy while it holds.
func TestAWrapperKilledWhileThePodStopsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	for _, victim := range []string{"main", "proxy"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t, enabled)
			apply(t, ns, podOf("stops", notes{"start-deps": "main: proxy"}, `
  terminationGracePeriodSeconds: 60
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "echo main runs; trap 'echo main is stopping; sleep 6; echo main ends; exit 0' TERM; sleep 3600 & wait $!"]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "echo proxy runs; trap 'echo got SIGTERM; exit 0' TERM; sleep 3600 & wait $!"]
`))
			says(t, ns, "stops", "main", "main runs")
			main, proxy := follow(t, ns, "stops", "main"), follow(t, ns, "stops", "proxy")
			pod := onePod(t, ns, "e2e")
			kubectl(t, "-n", ns, "delete", "pod", "stops", "--wait=false")
			says(t, ns, "stops", "main", "main is stopping")
			at := killFirst(t, pod, victim)
			m, p := main(), proxy()
			eventually(t, prompt, "the pod to be gone", func() (bool, string) { return len(pods(t, ns, "e2e")) == 0, "it is there" })
			if took := time.Since(at); took > prompt {
				t.Errorf("the pod was gone %s after the wrapper was killed", took)
			}
			if ended := m.has("main ends"); ended != (victim == "proxy") {
				t.Errorf("main ended by itself: %v:\n%s", ended, m)
			}
			if asked := p.has("got SIGTERM"); asked != (victim == "main") {
				t.Errorf("proxy was asked to stop: %v:\n%s", asked, p)
			}
		})
	}
}

// backoff is the backoffLimit for a restart policy.
var backoff = map[string]string{"Never": "0", "OnFailure": "6"}

// hungry is a Job's pod whose main eats all of its memory the first time.
const hungry = `
  containers:
    - name: main
      image: busybox:1.37
      command: [sh, -c, "test -e /once/main && exit 0; touch /once/main; exec tail /dev/zero"]
      resources: {limits: {memory: 64Mi}}
      volumeMounts: [{name: once, mountPath: /once}]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "echo proxy runs; trap 'exit 0' TERM; sleep 3600 & wait"]
  volumes: [{name: once, emptyDir: {}}]
  restartPolicy: `

// TestAContainerOutOfMemoryNeverLeavesThePodHanging has the command alone
// killed, or with it, in mode exec, the container's first process.
func TestAContainerOutOfMemoryNeverLeavesThePodHanging(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, mode string }{
		{"the command is killed, its wrapper is not", "supervise"},
		{"the container's first process is killed", "exec"},
	} {
		for policy, ending := range map[string]string{"Never": "Failed", "OnFailure": "Complete"} {
			t.Run(tt.name+" under "+policy, func(t *testing.T) {
				t.Parallel()
				ns := namespace(t, enabled)
				apply(t, ns, jobOf("hungry", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "mode": "main: " + tt.mode},
					"backoffLimit: "+backoff[policy], hungry+policy))
				pod, condition := job(t, ns, "hungry")
				if condition != ending {
					t.Errorf("Job %s, want %s", condition, ending)
				}
				main, proxy := status(t, pod, "main"), terminated(t, pod, "proxy")
				if took := proxy.FinishedAt.Sub(main.State.Terminated.FinishedAt.Time); took > prompt {
					t.Errorf("proxy ended %s after main", took)
				}
				if policy == "OnFailure" {
					main.State = main.LastTerminationState
				}
				if main.State.Terminated == nil || main.State.Terminated.ExitCode != 137 {
					t.Errorf("main ended with %+v, want 137", main.State)
				}
				if proxy.ExitCode != 0 {
					t.Errorf("proxy exited with %d, want 0", proxy.ExitCode)
				}
			})
		}
	}
}
