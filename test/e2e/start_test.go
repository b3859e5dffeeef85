//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestAChainWithoutAnyProbeStartsInOrder has a first that keeps the chain
// waiting: who waits is not taken for one that is ready.
func TestAChainWithoutAnyProbeStartsInOrder(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, podOf("chain", notes{"start-deps": "{c: b, b: a, a: first=succeeded}"}, `
  restartPolicy: Never
  containers:
    - {name: c, image: "busybox:1.37", command: [sh, -c, "echo c runs"]}
    - {name: b, image: "busybox:1.37", command: [sh, -c, "echo b runs; sleep 5"]}
    - {name: a, image: "busybox:1.37", command: [sh, -c, "echo a runs; sleep 5"]}
    - {name: first, image: "busybox:1.37", command: [sh, -c, "sleep 4; echo first ends"]}
`))
	pod := ends(t, ns, "a", "b", "c")
	first := logs(t, ns, "chain", "first").when(t, "first ends")
	a, b, c := logs(t, ns, "chain", "a"), logs(t, ns, "chain", "b"), logs(t, ns, "chain", "c")
	inOrder(t,
		moment{"first ends", first},
		moment{"a runs", a.when(t, "a runs")},
		moment{"b runs", b.when(t, "b runs")},
		moment{"c runs", c.when(t, "c runs")},
	)
	for _, name := range []string{"a", "b", "c"} {
		if code := terminated(t, pod, name).ExitCode; code != 0 {
			t.Errorf("%s exited with %d, want 0", name, code)
		}
	}
}

// TestReadinessIsSeenBeforeTheKubeletAsks has probes that the kubelet asks every
// ten seconds.
func TestReadinessIsSeenBeforeTheKubeletAsks(t *testing.T) {
	t.Parallel()
	ns := namespace(t, enabled)
	apply(t, ns, podOf("periods", notes{"start-deps": "{after-file: file, after-web: web}"}, `
  restartPolicy: Never
  containers:
    - {name: after-file, image: "busybox:1.37", command: [sh, -c, "echo it runs"]}
    - {name: after-web, image: "busybox:1.37", command: [sh, -c, "echo it runs"]}
    - name: file
      image: busybox:1.37
      command: [sh, -c, "sleep 12; touch /tmp/ready; echo can be ready; sleep 10"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 10}
    - name: web
      image: busybox:1.37
      command: [sh, -c, "sleep 12; httpd -p 8080 -h /etc; echo can be ready; sleep 10"]
      readinessProbe: {httpGet: {path: /passwd, port: 8080}, periodSeconds: 10}
`))
	ends(t, ns, "after-file", "after-web")
	for _, name := range []string{"file", "web"} {
		could := logs(t, ns, "periods", name).when(t, "can be ready")
		runs := logs(t, ns, "periods", "after-"+name).when(t, "it runs")
		inOrder(t, moment{name + " can be ready", could}, moment{"the dependant runs", runs})
		if late := runs.Sub(could); late > 5*time.Second { // the kubelet would be eight seconds late
			t.Errorf("what depends on %s ran %s after it could", name, late)
		}
	}
}

func TestAFailureIsPassedOnAlongTheChain(t *testing.T) {
	t.Parallel()
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
	t.Run("it takes no timeout", func(t *testing.T) {
		if took := terminated(t, pod, "c").FinishedAt.Sub(terminated(t, pod, "a").FinishedAt.Time); took > 5*time.Second {
			t.Errorf("c ended %s after a", took)
		}
	})
}

// TestTheOrderHoldsAcrossRestarts has a dependency that fails before it is
// ready, and a dependant that fails the first time.
func TestTheOrderHoldsAcrossRestarts(t *testing.T) {
	t.Parallel()
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
          if test -e /shared/main; then cat /shared/main; sleep 1; echo main is done; exit 0; fi
          if test -e /shared/ready; then echo at first, too; else echo not at first; fi > /shared/main
          exit 1
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: proxy
      image: busybox:1.37
      command:
        - sh
        - -c
        - |
          if ! test -e /shared/proxy; then touch /shared/proxy; sleep 1; exit 2; fi
          trap 'echo got SIGTERM; exit 0' TERM
          sleep 2; touch /shared/ready; sleep 3600 & wait $!
      readinessProbe: {exec: {command: [test, -e, /shared/ready]}, periodSeconds: 1}
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
