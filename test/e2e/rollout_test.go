//go:build e2e

package e2e

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/test/setup"
)

// TestLifeOfARelease removes koordinator and runs the commands of the pages for a new user
// whose cluster has cert-manager: install it with default values, use it, renew
// certificates, upgrade, roll back, remove it. Then it installs koordinator in the form for
// clusters without cert-manager. It is not parallel, and restores the original
// installation.
func TestLifeOfARelease(t *testing.T) {
	stop, err := cluster.CertManager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	defer install(t)
	ns := namespace(t, enabled)
	t.Run("remove", func(t *testing.T) { removed(t, ns) })
	if typed(t, installation(t, "--wait")); t.Failed() {
		return
	}
	for _, step := range []struct {
		name string
		run  func(*testing.T, string)
	}{
		{"use", used},
		{"check", checkedWithCertManager},
		{"renew certificates", renewedByCertManager},
		{"upgrade and roll back", upgraded},
		{"B7 an issuer whose authority is an intermediate", issuedByAnIntermediate},
		{"remove with certificates of cert-manager", removed},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, ns) }) {
			return
		}
	}
	typed(t, installation(t, setup.SelfSigned))
}

// used runs the next commands of the chart's notes and of the tutorial, including the
// chart's own test and a Job that completes.
func used(t *testing.T, _ string) {
	defer kubectl(t, "label", "namespace", "default", "koordinator.io/injection-")
	defer kubectl(t, "delete", "namespace", "shop", "--ignore-not-found")
	for _, c := range append(nextSteps(t), newcomer(t)...) {
		typed(t, c)
	}
	account := "--as=system:serviceaccount:" + setup.Namespace + ":koordinator"
	if out, err := try(t, "", "auth", "can-i", "list", "secrets", "-n", setup.Namespace, account); err == nil {
		t.Errorf("the webhook may list secrets: %s", out)
	}
}

// renewedByCertManager renews the certificate, then the CA, then the CA with another key,
// while pods are created all the time. Meanwhile, the leader loses its lease. The leader is
// not involved in the renewal, and the loss must not interrupt admission.
func renewedByCertManager(t *testing.T, ns string) {
	s := startStream(t, ns, true)
	leaderAgain := deposed(t)
	for _, authority := range []func(){
		func() {},
		func() { renewByCertManager(t, "koordinator-ca", nil) },
		func() {
			renewByCertManager(t, "koordinator-ca", func() { system(t, "delete", "secret", "koordinator-ca") })
		},
	} {
		before := served(t)
		authority()
		renewByCertManager(t, "koordinator", nil)
		time.Sleep(3 * time.Second) // a kubelet normally takes longer than the CA injector
		refreshVolumes(t)
		renewed(t, before)
	}
	leaderAgain()
	time.Sleep(2 * time.Second) // calls that fail after the renewal count, too
	s.end(t)
}

// upgraded upgrades the release, so that all replicas are replaced, and rolls
// it back.
func upgraded(t *testing.T, ns string) {
	before := replicas(t)
	s := startStream(t, ns, false)
	for _, args := range [][]string{
		{"upgrade", "koordinator", "charts/koordinator", "--set", "webhook.logLevel=debug,webhook.minTLSVersion=1.3"},
		{"rollback", "koordinator", "1"},
	} {
		args = append(args, "--namespace", setup.Namespace, "--wait", "--timeout", "5m")
		if err := cluster.Helm(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
		after := replicas(t)
		for _, p := range before {
			if slices.ContainsFunc(after, func(a corev1.Pod) bool { return a.UID == p.UID }) {
				t.Errorf("%s: replica %s was not replaced", args[0], p.Name)
			}
		}
		before = after
	}
	eventually(t, "the end of the replicas from before", func() (bool, string) {
		left := len(pods(t, setup.Namespace, ours))
		return left == 2, strings.Repeat("one ", left)
	})
	s.endReal(t)
}

// intermediate is an issuer with an intermediate CA, as those of Vault, step-ca and the
// cloud providers are.
const intermediate = `
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: e2e-root}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: e2e-root}
spec: {isCA: true, commonName: root, secretName: e2e-root, privateKey: {algorithm: ECDSA}, issuerRef: {name: e2e-root}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: e2e-signs-intermediates}
spec: {ca: {secretName: e2e-root}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: e2e-intermediate}
spec: {isCA: true, commonName: intermediate, secretName: e2e-intermediate, privateKey: {algorithm: ECDSA}, issuerRef: {name: e2e-signs-intermediates}}
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata: {name: e2e-intermediate}
spec: {ca: {secretName: e2e-intermediate}}
`

// issuedByAnIntermediate upgrades the release to the user's own issuer and uses it.
func issuedByAnIntermediate(t *testing.T, _ string) {
	apply(t, setup.Namespace, intermediate)
	defer func() {
		if _, err := try(t, intermediate, "-n", setup.Namespace, "delete", "-f", "-"); err != nil {
			t.Error(err)
		}
		system(t, "delete", "secret", "e2e-root", "e2e-intermediate")
	}()
	system(t, "wait", "--for=condition=Ready", "issuer/e2e-intermediate", "--timeout=10m")
	before := served(t)
	if err := cluster.Helm(t.Context(), "upgrade", "koordinator", "charts/koordinator", "--namespace", setup.Namespace, "--wait", "--timeout", "10m",
		"--set", "certManager.issuerRef.name=e2e-intermediate"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate by the intermediate", func() (bool, string) {
		chain := system(t, "get", "secret", "koordinator-tls", "-o", `jsonpath={.data.tls\.crt}`)
		data, err := base64.StdEncoding.DecodeString(chain)
		n := strings.Count(string(data), "BEGIN CERTIFICATE")
		return err == nil && n == 2, fmt.Sprintf("%d certificates", n)
	})
	refreshVolumes(t)
	renewed(t, before)
	ns := namespace(t, enabled)
	apply(t, ns, sample(t, jobSample))
	if _, condition := job(t, ns, jobSample); condition != "Complete" {
		t.Errorf("Job %s, want Complete", condition)
	}
}

// removed uninstalls the release while an injected pod runs, which must continue, and
// checks what is left.
func removed(t *testing.T, ns string) {
	apply(t, ns, podOf("stays", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "source": "pod"}, `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [echo, main runs]}
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'exit 0' TERM; echo proxy runs; sleep 3600 & wait"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
`))
	says(t, ns, "stays", "proxy", "proxy runs")
	says(t, ns, "stays", "main", "waiting")
	eventually(t, "the grant", func() (bool, string) {
		out, err := try(t, "", "-n", ns, "get", "rolebinding", "koordinator-pod-reader")
		return err == nil, out
	})
	if err := cluster.Helm(t.Context(), "uninstall", "koordinator", "--namespace", setup.Namespace, "--wait"); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t)
	kubectl(t, "-n", ns, "exec", "stays", "-c", "proxy", "--", "touch", "/tmp/ready")
	pod := ends(t, ns, "main", "proxy")
	for _, name := range []string{"main", "proxy"} {
		if end := terminated(t, pod, name); end.ExitCode != 0 {
			t.Errorf("container %s: %+v", name, end)
		}
	}
	kubectl(t, "-n", ns, "delete", "pod", "stays", "--now")
}

// nothingLeft waits until only the grants and the leaders' Leases are left of an
// installation. It searches everything with the installation's label, and everything in its
// namespace.
func nothingLeft(t *testing.T) {
	t.Helper()
	kinds := func(more ...string) string {
		return strings.Join(strings.Fields(kubectl(t, append([]string{"api-resources", "--verbs=list", "-o", "name"}, more...)...)), ",")
	}
	all, namespaced := kinds(), kinds("--namespaced")
	const label = "app.kubernetes.io/instance=koordinator"
	want := []string{
		"clusterrole.rbac.authorization.k8s.io/koordinator-pod-reader",
		"configmap/kube-root-ca.crt", "serviceaccount/default",
	}
	eventually(t, "the end of the release", func() (bool, string) {
		labelled, err1 := try(t, "", "get", all, "--all-namespaces", "-l", label, "-o", "name", "--ignore-not-found")
		inside, err2 := try(t, "", "get", namespaced, "-n", setup.Namespace, "-o", "name", "--ignore-not-found")
		if err := errors.Join(err1, err2); err != nil {
			return false, err.Error()
		}
		have := strings.Fields(labelled)
		for name := range strings.FieldsSeq(inside) {
			isKept := strings.HasPrefix(name, "event") || strings.HasPrefix(name, "lease.coordination.k8s.io/koordinator-")
			if !isKept && !slices.Contains(have, name) {
				have = append(have, name)
			}
		}
		slices.Sort(have)
		return slices.Equal(have, want), strings.Join(have, " ")
	})
}
