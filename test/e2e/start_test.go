//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestAChainWithoutAnyProbeStartsInOrder uses a first container that makes the whole chain
// wait: a waiting container must not count as ready.
func TestAChainWithoutAnyProbeStartsInOrder(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("chain", notes{"start-deps": "{c: b, b: a, a: first=succeeded}"}, `
  restartPolicy: Never
  containers:
    - {name: c, image: "busybox:1.37", command: [sh, -c, "SAY c runs; touch /shared/c"], volumeMounts: [{name: shared, mountPath: /shared}]}
    - {name: b, image: "busybox:1.37", command: [sh, -c, "SAY b runs; until test -e /shared/c; do sleep 0.1; done"], volumeMounts: [{name: shared, mountPath: /shared}]}
    - {name: a, image: "busybox:1.37", command: [sh, -c, "SAY a runs; until test -e /shared/c; do sleep 0.1; done"], volumeMounts: [{name: shared, mountPath: /shared}]}
    - {name: first, image: "busybox:1.37", command: [sh, -c, "until test -e /shared/go; do sleep 0.1; done; SAY first ends"], volumeMounts: [{name: shared, mountPath: /shared}]}
  volumes: [{name: shared, emptyDir: {}}]
`))
	for _, name := range []string{"a", "b", "c"} {
		says(t, ns, "chain", name, "waiting")
	}
	inside(t, ns, "chain", "first", "touch", "/shared/go")
	pod := ends(t, ns, "a", "b", "c")
	first := logs(t, ns, "chain", "first").when(t, "first ends")
	// A command counts as started before it can print anything, so the test uses the wrappers' logs.
	a, b, c := logs(t, ns, "chain", "a"), logs(t, ns, "chain", "b"), logs(t, ns, "chain", "c")
	inOrder(t,
		moment{"first ends", first},
		moment{"a is started", a.when(t, "command started")},
		moment{"b is started", b.when(t, "command started")},
		moment{"c is started", c.when(t, "command started")},
	)
	for _, name := range []string{"a", "b", "c"} {
		if code := terminated(t, pod, name).ExitCode; code != 0 {
			t.Errorf("%s exited with %d, want 0", name, code)
		}
	}
}

// TestReadinessIsSeenBeforeTheKubeletAsks uses probes that the kubelet runs once, before
// they can pass, and again after an hour.
func TestReadinessIsSeenBeforeTheKubeletAsks(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("periods", notes{"start-deps": "{after-file: file, after-web: web}"}, `
  restartPolicy: Never
  containers:
    - {name: after-file, image: "busybox:1.37", command: [sh, -c, "SAY it runs"]}
    - {name: after-web, image: "busybox:1.37", command: [sh, -c, "SAY it runs"]}
    - name: file
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; until test -e /tmp/go; do sleep 0.1; done; SAY can be ready; touch /tmp/ready; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 3600, timeoutSeconds: 60}
    - name: web
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; until test -e /tmp/go; do sleep 0.1; done; SAY can be ready; httpd -p 8080 -h /etc; sleep 3600 & wait"]
      readinessProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 3600, timeoutSeconds: 60}
`))
	eventually(t, "the kubelet to have asked both", func() (bool, string) {
		n := unhealthy(t, ns)
		return n >= 2, fmt.Sprint(n)
	})
	for _, name := range []string{"file", "web"} {
		inside(t, ns, "periods", name, "touch", "/tmp/go")
	}
	ends(t, ns, "after-file", "after-web")
	for _, name := range []string{"file", "web"} {
		could := logs(t, ns, "periods", name).when(t, "can be ready")
		runs := logs(t, ns, "periods", "after-"+name).when(t, "it runs")
		inOrder(t, moment{name + " can be ready", could}, moment{"the dependant runs", runs})
	}
}

func TestAFailureIsPassedOnAlongTheChain(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, podOf("chain", notes{"start-deps": "{c: b, b: a=succeeded}"}, `
  restartPolicy: Never
  containers:
    - {name: c, image: "busybox:1.37", command: [sh, -c, "echo c runs"]}
    - {name: b, image: "busybox:1.37", command: [sh, -c, "echo b runs"]}
    - {name: a, image: "busybox:1.37", command: [sh, -c, "sleep 2; exit 3"]}
`))
	pod := ends(t, ns, "a", "b", "c")
	t.Run("tek-03 argo-04 argo-08 own-27 the last of the chain says why the first failed", func(t *testing.T) {
		for _, name := range []string{"b", "c"} {
			e := terminated(t, pod, name)
			if e.ExitCode != 69 || !strings.Contains(e.Message, "a will never succeed: it exited with code 3") {
				t.Errorf("%s exited with %d and %q, want 69 and why a failed", name, e.ExitCode, e.Message)
			}
			if out := logs(t, ns, "chain", name); out.has(name + " runs") {
				t.Errorf("%s ran:\n%s", name, out)
			}
		}
	})
}

// TestTheOrderHoldsAcrossRestarts uses a dependency that fails before it is ready, and a
// dependent that fails the first time.
func TestTheOrderHoldsAcrossRestarts(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("restarts", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main"}, "backoffLimit: 6", `
  restartPolicy: OnFailure
  containers:
    - name: main
      image: busybox:1.37
      command:
        - sh
        - -c
        - |
          if test -e /shared/main; then cat /shared/main; sleep 1; SAY main is done; exit 0; fi
          if test -e /shared/ready; then SAY at first, too; else SAY not at first; fi > /shared/main
          exit 1
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: proxy
      image: busybox:1.37
      command:
        - sh
        - -c
        - |
          if ! test -e /shared/proxy; then touch /shared/proxy; sleep 1; exit 2; fi
          trap 'SAY got SIGTERM; exit 0' TERM
          touch /shared/ready; sleep 3600 & wait $!
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 10, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	pod, condition := job(t, ns, "restarts")
	if condition != "Complete" {
		t.Fatalf("Job %s, want Complete", condition)
	}
	main, proxy := logs(t, ns, pod.Name, "main"), logs(t, ns, pod.Name, "proxy")
	inOrder(t,
		moment{"the proxy was ready", main.when(t, "at first, too")},
		moment{"main is done", main.when(t, "main is done")},
		moment{"proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
	for _, name := range []string{"main", "proxy"} {
		if n := status(t, pod, name).RestartCount; n != 1 {
			t.Errorf("%s was restarted %d times, want once", name, n)
		}
	}
}
