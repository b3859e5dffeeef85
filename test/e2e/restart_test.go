//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// togetherTemplate is a workload whose app restarts with a sidecar. The kind, the beginning
// of the spec and the name of the sidecar are parameters.
const togetherTemplate = `
apiVersion: apps/v1
kind: %s
metadata: {name: web}
spec:
  %s
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations:
        koordinator.io/restart-with: "app: %[3]s"
    spec:
      containers:
        - name: app
          image: busybox:1.37
          command: [sh, -c, "trap 'exit 0' TERM; echo app runs; sleep 3600 & wait"]
        - name: %[3]s
          image: busybox:1.37
          command: [sh, -c, "trap 'exit 3' TERM; sleep 3600 & wait"]
`

// TestAnAppRestartsWithItsSidecar covers both kinds of workloads that restart their
// containers. koordinator wraps the sidecar "proxy", and the proxy's record shows its end.
// It does not wrap istio-proxy, because another webhook adds that container. The pod's
// status shows the end of istio-proxy.
func TestAnAppRestartsWithItsSidecar(t *testing.T) {
	for _, c := range []struct{ kind, begin, sidecar string }{
		{"Deployment", "replicas: 1", "proxy"},
		{"Deployment", "replicas: 1", "istio-proxy"},
		{"StatefulSet", "serviceName: web", "proxy"},
		{"StatefulSet", "serviceName: web", "istio-proxy"},
	} {
		t.Run(c.kind+" "+c.sidecar, func(t *testing.T) {
			abreast(t)
			manifest := fmt.Sprintf(togetherTemplate, c.kind, c.begin, c.sidecar)
			end := []string{"kill", "1"}
			if c.sidecar == "proxy" {
				end = []string{"killall", "-9", "sleep"} // a wrapper would pass SIGTERM on as a stop request
			}
			restartTogether(t, manifest, strings.ToLower(c.kind)+"/web", "app=web", c.sidecar, "app", end...)
		})
	}
}

// TestAnAppRestartsWithItsProxy uses the Deployment of docs/how-to/restart-together.md.
func TestAnAppRestartsWithItsProxy(t *testing.T) {
	abreast(t)
	recipe := examples(t, "docs/how-to/restart-together.md", "")[0]
	restartTogether(t, recipe, "deployment/shop", "app=shop", "proxy", "app", "killall", "-9", "nc")
}

// absence is the time in which a test checks that nothing happens.
const absence = 10 * time.Second

// restartTogether applies a workload and ends the target with a command in its container.
// The follower restarts once with code 75, and both run again. Then the pod is deleted, and
// the follower ends without a restart.
func restartTogether(t *testing.T, manifest, workload, selector, target, follower string, end ...string) {
	t.Helper()
	ns := namespace(t, enabled)
	apply(t, ns, manifest)
	kubectl(t, "-n", ns, "rollout", "status", workload, "--timeout=5m")
	pod := onePod(t, ns, selector)
	eventually(t, "the follower's command to start", func() (bool, string) { // an exit before it does not count
		out, err := try(t, "", "-n", ns, "logs", pod.Name, "-c", follower)
		return err == nil && strings.Contains(out, "event=started"), out
	})
	if out, err := try(t, "", append([]string{"-n", ns, "exec", pod.Name, "-c", target, "--"}, end...)...); err != nil {
		t.Logf("the command ended with its container: %v: %s", err, out)
	}
	restarted := func() (bool, string) {
		pod = onePod(t, ns, selector)
		f, o := seen(pod, follower), seen(pod, target)
		return f.RestartCount > 0 && o.RestartCount > 0 && f.Ready && o.Ready, fmt.Sprintf("%+v %+v", f, o)
	}
	eventually(t, "both to run again", restarted)
	last := status(t, pod, follower).LastTerminationState.Terminated
	if last == nil || last.ExitCode != spec.ExitRestart || !strings.Contains(last.Message, target+" ended, and this container restarts with it") {
		t.Errorf("%s ended with %+v, want code 75 and why", follower, last)
	}
	time.Sleep(absence) // proves that nothing restarts again
	pod = onePod(t, ns, selector)
	for _, name := range []string{follower, target} {
		if s := status(t, pod, name); s.RestartCount != 1 || s.State.Running == nil {
			t.Errorf("one end of %s led to more than one restart: %+v", target, s)
		}
	}

	watch, stdout := streaming(t, "-n", ns, "get", "pod", pod.Name, "--watch", "--output-watch-events", "-o", "json")
	events := json.NewDecoder(stdout)
	next(t, events) // the watch has begun
	kubectl(t, "-n", ns, "delete", "pod", pod.Name, "--wait=false")
	gone := untilDeleted(t, events)
	if s := status(t, gone, follower); s.RestartCount != 1 || terminated(t, gone, follower).ExitCode == spec.ExitRestart {
		t.Errorf("%s restarted while the pod was deleted: %+v", follower, s)
	}
	_ = watch.Process.Kill()
	_ = watch.Wait()
}

// TestAnImageWithoutAShellGetsVariablesFromAFile uses the pod of
// docs/how-to/vault-values.md, with an image that this cluster has. An init container
// writes the file. It computes the value, so that no manifest contains it.
func TestAnImageWithoutAShellGetsVariablesFromAFile(t *testing.T) {
	abreast(t)
	shopImages(t)
	ns := namespace(t, enabled)
	own := strings.NewReplacer("example/app:1", "shop:1\n      imagePullPolicy: Never", "/app, ", "/bin/of/the/image/shop, ", "name: values", "name: values\n  labels: {e2e: \"\"}")
	apply(t, ns, own.Replace(examples(t, "docs/how-to/vault-values.md", "Read a rendered file")[0]))
	ends(t, ns, "main", "side")
	if out := logs(t, ns, "values", "main"); !out.has("PASSWORD=the SECRET") {
		t.Errorf("main has not the value:\n%s", out)
	}
	if out := logs(t, ns, "values", "side").String() + kubectl(t, "-n", ns, "get", "pod", "values", "-o", "yaml"); strings.Contains(out, "SECRET") {
		t.Errorf("the value is elsewhere, too:\n%s", out)
	}
}

func TestAFileThatIsMissingEndsTheContainerWith78(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("missing", notes{"env-file": "main: /secrets/env"}, `
  restartPolicy: Never
  containers: [{name: main, image: "busybox:1.37", command: [echo, main runs]}]
`))
	pod := ends(t, ns, "main")
	if e := terminated(t, pod, "main"); e.ExitCode != spec.ExitEnvFile || !strings.Contains(e.Message, "env file /secrets/env: no such file or directory") {
		t.Errorf("main ended with code %d and message %q, want 78 and the file", e.ExitCode, e.Message)
	}
}

// TestACommandReportsThatItIsReady uses a service without a probe that is ready after the
// first connection.
func TestACommandReportsThatItIsReady(t *testing.T) {
	abreast(t)
	shopImages(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("reports", notes{"ready-when": "db: notify", "start-deps": "main: db", "stop-deps": "{db: main, client: main}"}, `
  restartPolicy: Never
  containers:
    - {name: db, image: "shop:1", imagePullPolicy: Never, command: [/bin/of/the/image/shop, notify]}
    - {name: main, image: "busybox:1.37", command: [echo, main runs]}
    - {name: client, image: "busybox:1.37", command: [sh, -c, "trap 'exit 0' TERM; sleep 3600 & wait"]}
`))
	eventually(t, "the service to listen", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "logs", "reports", "-c", "db")
		return err == nil && strings.Contains(out, "listens"), out
	})
	time.Sleep(absence) // proves that it does not count as ready
	pod := onePod(t, ns, "e2e")
	if s := status(t, pod, "db"); s.Ready || s.Started == nil || *s.Started {
		t.Errorf("a service that has not reported counts as started or ready: %+v", s)
	}
	if out := logs(t, ns, "reports", "main"); out.has("main runs") {
		t.Errorf("main did not wait:\n%s", out)
	}
	kubectl(t, "-n", ns, "exec", "reports", "-c", "client", "--", "nc", "127.0.0.1", "5002")
	pod = ends(t, ns, "main", "db")
	for _, name := range []string{"main", "db"} {
		if e := terminated(t, pod, name); e.ExitCode != 0 {
			t.Errorf("%s ended with code %d (%s), want 0", name, e.ExitCode, e.Message)
		}
	}
	if out := logs(t, ns, "reports", "main"); !out.has("main runs") {
		t.Errorf("main never ran:\n%s", out)
	}
}
