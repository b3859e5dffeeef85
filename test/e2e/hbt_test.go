//go:build e2e

package e2e

import "testing"

// hbtJob has the form of the Job in HBT koordinator's documentation: the image's args are
// the destination of the copy, the spec's variable has the same spelling mistake, the
// command is the argument list of koordinator, and the names come from /etc/podinfo.
const hbtJob = `
apiVersion: batch/v1
kind: Job
metadata: {name: hbt}
spec:
  backoffLimit: 0
  template:
    metadata: {labels: {e2e: ""}}
    spec:
      restartPolicy: Never
      volumes:
        - {name: koordinator, emptyDir: {}}
        - name: podinfo
          downwardAPI:
            items:
              - {path: name, fieldRef: {fieldPath: metadata.name}}
              - {path: namespace, fieldRef: {fieldPath: metadata.namespace}}
      initContainers:
        - name: koordinator-init
          image: koordinator/wrapper:dev
          args: [/koordinator]
          volumeMounts: [{name: koordinator, mountPath: /koordinator}]
      containers:
        - name: cloud-sql-proxy
          image: busybox:1.37
          env:
            - {name: KOOORDINATOR_SPEC, value: '{"stopDeps":["main-container"],"termTimeout":"5s","terminatedByStopDepExitCode":0}'}
          command: [/koordinator/koordinator, sh]
          args: [-c, "trap 'SAY got SIGTERM; exit 7' TERM; echo connecting; sleep 2; SAY ready; touch /tmp/ready; sleep 3600 & wait"]
          readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
          volumeMounts: [{name: koordinator, mountPath: /koordinator}, {name: podinfo, mountPath: /etc/podinfo}]
        - name: main-container
          image: busybox:1.37
          env:
            - {name: KOOORDINATOR_SPEC, value: '{"startDeps":["cloud-sql-proxy"],"stopDelay":"10s"}'}
          command: [/koordinator/koordinator, sh, -c, "SAY main runs; sleep 1; SAY main ends"]
          volumeMounts: [{name: koordinator, mountPath: /koordinator}, {name: podinfo, mountPath: /etc/podinfo}]
`

func TestAJobOfHBTKoordinatorRunsUnchanged(t *testing.T) {
	abreast(t)
	ns := namespace(t)
	kubectl(t, "-n", ns, "create", "role", "koordinator", "--verb=list,watch", "--resource=pods")
	kubectl(t, "-n", ns, "create", "rolebinding", "koordinator", "--role=koordinator", "--serviceaccount="+ns+":default")
	apply(t, ns, hbtJob)
	pod, condition := job(t, ns, "hbt")
	if condition != "Complete" {
		t.Errorf("Job %s, want Complete", condition)
	}
	main, proxy := logs(t, ns, pod.Name, "main-container"), logs(t, ns, pod.Name, "cloud-sql-proxy")
	inOrder(t,
		moment{"the proxy is ready", proxy.when(t, " ready")},
		moment{"main runs", main.when(t, "main runs")},
		moment{"main ends", main.when(t, "main ends")},
		moment{"the proxy gets SIGTERM", proxy.when(t, "got SIGTERM")},
	)
	if code := terminated(t, pod, "cloud-sql-proxy").ExitCode; code != 0 {
		t.Errorf("the proxy reported %d, want 0", code)
	}
}
