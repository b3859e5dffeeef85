//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"

	"koordinator.io/koordinator/test/setup"
)

// Except for the last one, these tests are not parallel, because each of them breaks
// something that all tests need.

// TestNoPodIsCreatedWithoutInjectionWhileReplicasAreKilled kills one replica after another,
// twice.
func TestNoPodIsCreatedWithoutInjectionWhileReplicasAreKilled(t *testing.T) {
	ns := namespace(t, enabled)
	s := startStream(t, ns, false)
	for range 2 {
		for _, p := range replicas(t) {
			before := status(t, p, "webhook")
			_, id, _ := strings.Cut(before.ContainerID, "://")
			killContainer(t, id, "webhook")
			eventually(t, "the restart of "+p.Name, func() (bool, string) {
				for _, now := range replicas(t) {
					if now.Name == p.Name {
						c := status(t, now, "webhook")
						return c.RestartCount > before.RestartCount && c.Ready, c.State.String()
					}
				}
				return false, "it is gone"
			})
		}
	}
	answers(t, s)
	refusedByTheAPIServer(t, s.stop(t))
	if left := kubectl(t, "-n", ns, "get", "pods", "-l", "!koordinator.io/injected", "-o", "name"); left != "" {
		t.Errorf("not injected: %s", left)
	}
	kubectl(t, "-n", ns, "delete", "pods", "--all", "--grace-period=0", "--wait=false")
}

// refusedByTheAPIServer fails unless each problem of a stream is a request that the API
// server refused because it could not reach the webhook.
func refusedByTheAPIServer(t *testing.T, problems []string) {
	t.Helper()
	t.Logf("%d requests failed", len(problems))
	for _, problem := range problems {
		if !strings.Contains(problem, `failed calling webhook "pods.koordinator.io"`) {
			t.Error(problem)
		}
	}
}

// TestACertificateThatExpiredMeanwhileIsReplaced starts the replicas with a certificate and
// an authority that expired when no replica ran.
func TestACertificateThatExpiredMeanwhileIsReplaced(t *testing.T) {
	ns := namespace(t, enabled)
	back := withoutReplicas(t)
	begin, end := time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	r := &rotator.CertRotator{CAName: "koordinator", CAOrganization: "koordinator", DNSName: "koordinator." + setup.Namespace + ".svc", ExtKeyUsages: &[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	authority, err := r.CreateCACert(begin, end)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := r.CreateCertPEM(authority, begin, end)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(map[string]map[string][]byte{"data": {"ca.crt": authority.CertPEM, "ca.key": authority.KeyPEM, "tls.crt": cert, "tls.key": key}})
	if err != nil {
		t.Fatal(err)
	}
	system(t, "patch", "secret", "koordinator-cert", "--type=merge", "-p", string(data))
	kubectl(t, "patch", "mutatingwebhookconfiguration", "koordinator", "--type=json", "-p",
		`[{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": "`+base64.StdEncoding.EncodeToString(authority.CertPEM)+`"}]`)
	if _, err := try(t, waitingPod, "-n", ns, "create", "--dry-run=server", "-f", "-"); err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("without a replica: %v", err)
	}
	back()
	answered(t, ns)
}

// TestAnOlderStateOfTheClusterIsRestored restores a backup of etcd that does not know the
// latest namespace and its pod.
func TestAnOlderStateOfTheClusterIsRestored(t *testing.T) {
	ns := namespace(t, enabled)
	apply(t, ns, podOf("waits", notes{"start-deps": "main: proxy"}, strings.Replace(waits, "nodeName: node2", "nodeName: node1", 1)))
	says(t, ns, "waits", "main", "waiting")
	data, backup := filepath.Join(clusterData(), "etcd"), filepath.Join(t.TempDir(), "etcd")
	parts := []string{"etcd", "kube-apiserver", "kube-scheduler", "kube-controller-manager"}
	t.Cleanup(func() { // in case that the test has failed while they are stopped
		for _, part := range parts {
			_ = cluster.Control(context.Background(), "start", part) // an error if it runs
		}
	})
	control(t, "stop", "etcd")
	copied(t, data, backup)
	control(t, "start", "etcd")

	later := fmt.Sprintf("later-%d", time.Now().UnixNano())
	t.Cleanup(func() { kubectl(t, "delete", "namespace", later, "--ignore-not-found", "--wait=false") })
	eventually(t, "a new namespace", func() (bool, string) {
		_, err := try(t, "", "create", "namespace", later)
		return err == nil || strings.Contains(err.Error(), "already exists"), fmt.Sprint(err)
	})
	kubectl(t, "label", "namespace", later, enabled)
	unknown := spoken(podOf("unknown", notes{"start-deps": "main: proxy", "source": "pod"}, "\n  containers:"+strings.Replace(pair, "SAY main runs", "SAY main runs; sleep 3600", 1)))
	eventually(t, "a pod in it", func() (bool, string) {
		_, err := try(t, unknown, "-n", later, "apply", "-f", "-")
		return err == nil, fmt.Sprint(err)
	})
	says(t, later, "unknown", "main", "main runs")
	uid := string(onePod(t, later, injectedLabel).UID)
	if len(processes(t, uid)) == 0 {
		t.Fatal("the pod has no processes")
	}
	inside(t, ns, "waits", "proxy", "touch", "/shared/ready")
	says(t, ns, "waits", "main", "main runs")
	before := restarts(t)

	last := revision(t)
	for _, part := range slices.Backward(parts) {
		control(t, "stop", part)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	copied(t, backup, data)
	for _, part := range parts {
		control(t, "start", part)
		if part == "etcd" {
			bump(t, last)
		}
	}
	if _, err := try(t, "", "get", "namespace", later); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Fatalf("the latest namespace after the restore: %v", err)
	}
	eventually(t, "the end of the pod that is unknown now", func() (bool, string) {
		left := processes(t, uid)
		return len(left) == 0, fmt.Sprint(left)
	})
	eventually(t, "the status of the pod that was restored", func() (bool, string) {
		main, proxy := status(t, onePod(t, ns, "e2e"), "main"), status(t, onePod(t, ns, "e2e"), "proxy")
		return main.Ready && main.RestartCount == 0 && proxy.RestartCount == 0, fmt.Sprint(main, proxy)
	})
	t.Run("a new namespace", func(t *testing.T) {
		ns := namespace(t, enabled)
		eventually(t, "a new pod", func() (bool, string) {
			_, err := try(t, spoken(podOf("new", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "source": "pod"}, "\n  restartPolicy: Never\n  containers:"+pair)), "-n", ns, "apply", "-f", "-")
			return err == nil, fmt.Sprint(err)
		})
		proxyFirst(t, ns, ended(t, ns, "new"))
	})
	if now := restarts(t); !maps.Equal(now, before) {
		t.Errorf("the replicas were restarted: %v, and now %v", before, now)
	}
}

// restarts returns how often each replica has restarted.
func restarts(t *testing.T) map[string]int32 {
	t.Helper()
	all := map[string]int32{}
	for _, p := range replicas(t) {
		all[p.Name] = status(t, p, "webhook").RestartCount
	}
	return all
}

// copied copies a directory.
func copied(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v: %s", from, err, out)
	}
}

// etcd sends a request to the JSON interface of etcd, and returns the revision of the answer.
func etcd(t *testing.T, path string, body any) int64 {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := etcdClient.Post("http://127.0.0.1:2379/v3/kv/"+path, "application/json", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Header struct {
			Revision int64 `json:",string"`
		}
		Error string
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error != "" {
		t.Fatal(err, answer.Error)
	}
	return answer.Header.Revision
}

// etcdClient connects in the network of the first node.
var etcdClient = http.Client{Timeout: wait, Transport: &http.Transport{
	DialContext: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = onFirst(func() (err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	},
}}

// revision returns the latest revision of etcd.
func revision(t *testing.T) int64 {
	t.Helper()
	return etcd(t, "range", map[string][]byte{"key": []byte("e2e")})
}

// bump increases the revision of etcd beyond a revision that clients have seen, and declares
// all earlier ones compacted, as etcdutl snapshot restore --bump-revision does. Otherwise,
// clients would wait for revisions that they have seen already.
func bump(t *testing.T, last int64) {
	t.Helper()
	defer etcdClient.CloseIdleConnections()
	now := int64(0)
	for now <= last+1000 {
		now = etcd(t, "put", map[string][]byte{"key": []byte("e2e")})
	}
	etcd(t, "compaction", map[string]int64{"revision": now})
}

// TestTheOrderHoldsAlthoughTheRecordsVolumeIsFull lets a command fill the volume with the
// records before another container becomes ready.
func TestTheOrderHoldsAlthoughTheRecordsVolumeIsFull(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	apply(t, ns, jobOf("full", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main\nfiller: main"}, "backoffLimit: 0", `
  restartPolicy: Never
  containers:
    - {name: main, image: "busybox:1.37", command: [sh, -c, "SAY main runs; sleep 1; SAY main ends"]}
    - name: filler
      image: busybox:1.37
      command: [sh, -c, "dd if=/dev/zero of=/koordinator/record/fill bs=1M count=64; echo x >/koordinator/record/more || touch /shared/full; sleep 3600 & wait $!"]
      volumeMounts: [{name: shared, mountPath: /shared}]
    - name: proxy
      image: busybox:1.37
      command: [sh, -c, "trap 'SAY got SIGTERM; exit 0' TERM; until test -e /shared/full; do sleep 0.2; done; SAY proxy is ready; touch /tmp/ready; sleep 3600 & wait $!"]
      readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 2, timeoutSeconds: 60}
      volumeMounts: [{name: shared, mountPath: /shared}]
  volumes: [{name: shared, emptyDir: {}}]
`))
	pod, condition := job(t, ns, "full")
	if condition != "Complete" {
		t.Errorf("Job %s", condition)
	}
	proxyAround(t, ns, pod.Name)
}
