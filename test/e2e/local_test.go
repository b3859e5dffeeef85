//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestTheSampleJobNeedsNoAPIServerWithSourceLocal uses the API server's audit log as
// evidence. For comparison, the log must contain requests of the same Job with source pod.
func TestTheSampleJobNeedsNoAPIServerWithSourceLocal(t *testing.T) {
	abreast(t)
	ns := namespace(t, enabled)
	for source, more := range map[string]string{
		"local": "automountServiceAccountToken: false",
		"pod":   "serviceAccountName: asks",
	} {
		m := strings.Replace(sample(t, jobSample), "name: "+jobSample, "name: "+source, 1)
		m = strings.Replace(m, "      annotations:\n", "      annotations:\n        koordinator.io/source: "+source+"\n", 1)
		m = strings.Replace(m, "      restartPolicy: Never\n", "      restartPolicy: Never\n      "+more+"\n", 1)
		if source == "pod" {
			kubectl(t, "-n", ns, "create", "serviceaccount", "asks")
		}
		apply(t, ns, m)
	}
	for source, asks := range map[string]bool{"local": false, "pod": true} {
		pod, condition := job(t, ns, source)
		if condition != "Complete" {
			t.Errorf("source %s: Job %s, want Complete", source, condition)
		}
		inJobOrder(t, ns, pod, "done")
		account := "system:serviceaccount:" + ns + ":" + pod.Spec.ServiceAccountName
		requests := audited(t, func(r request) bool {
			return r.User.Username == account || slices.Contains(r.SourceIPs, pod.Status.PodIP) && strings.Contains(r.RequestURI, ns)
		})
		if len(requests) > 0 != asks {
			t.Errorf("source %s: requests to the API server: %v", source, requests)
		}
	}
}

// request is an event of the audit log (audit.k8s.io/v1).
type request struct {
	User        struct{ Username string }
	SourceIPs   []string
	RequestURI  string
	ObjectRef   struct{ Resource, Namespace, Name string }
	Annotations map[string]string
}

// audited returns the requests in the audit log that want selects.
func audited(t *testing.T, want func(request) bool) []request {
	t.Helper()
	path, err := cluster.AuditLog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var found []request
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			continue // a line that is still being written
		}
		if want(r) {
			found = append(found, r)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
