//go:build e2e

package e2e

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestRestrictedContainersOfDifferentUsers(t *testing.T) {
	abreast(t)
	restricted(t)
}

// restricted runs containers that keep records and comply with Pod Security "restricted",
// on read-only root file systems. No container may be able to write the record of another
// one. restricted returns the pod after its end.
func restricted(t *testing.T) corev1.Pod {
	t.Helper()
	ns := namespace(t, enabled, "pod-security.kubernetes.io/enforce=restricted")
	container := func(name, uid, script, more string) string {
		return strings.NewReplacer("NAME", name, "UID", uid, "SCRIPT", script, "MORE", more).Replace(`
    - name: NAME
      image: busybox:1.37
      command: [sh, -c, "SCRIPT"]
      securityContext:
        runAsUser: UID
        runAsNonRoot: true
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
        seccompProfile: {type: RuntimeDefault}MORE`)
	}
	steal := "trap 'SAY got SIGTERM; exit 0' TERM; SAY ready; touch /koordinator/peers/main/record /koordinator/record/mine && echo forged; sleep 3600 & wait"
	apply(t, ns, podOf("restricted", notes{
		"start-deps": "main: proxy", "stop-deps": "proxy: main", "source": "local",
	}, `
  restartPolicy: Never
  securityContext: {fsGroup: 2000}
  containers:`+
		container("main", "1001", "SAY main runs; id -u", "")+
		container("proxy", "1002", steal, "\n      readinessProbe: {exec: {command: [test, -e, /koordinator/record/mine]}, periodSeconds: 10, timeoutSeconds: 60}")))
	pod := ends(t, ns, "main", "proxy")
	main, proxy := logs(t, ns, pod.Name, "main"), logs(t, ns, pod.Name, "proxy")
	inOrder(t,
		moment{"the proxy is ready", proxy.when(t, " ready")},
		moment{"main runs", main.when(t, "main runs")},
		moment{"the proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
	if proxy.has("forged") || !proxy.has("Read-only file system") {
		t.Errorf("the proxy could write main's record:\n%s", proxy)
	}
	for _, name := range []string{"main", "proxy"} {
		if e := terminated(t, pod, name); e.ExitCode != 0 {
			t.Errorf("%s exited with %d (%s), want 0", name, e.ExitCode, e.Message)
		}
	}
	return pod
}
