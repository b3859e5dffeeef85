//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestCertificateOfOurOwnIsRenewedUnderLoad makes the webhook renew its certificate, and
// then its CA as well. It is not parallel, because a failing webhook would affect all
// tests.
func TestCertificateOfOurOwnIsRenewedUnderLoad(t *testing.T) {
	ns := namespace(t, enabled)
	for name, missing := range map[string]string{"the certificate": "tls.crt", "the authority": "ca.crt"} {
		t.Run(name, func(t *testing.T) {
			before := served(t)
			s := startStream(t, ns, true)
			system(t, "patch", "secret", "koordinator-cert", "--type=merge", "-p", `{"data": {"`+missing+`": ""}}`)
			renewed(t, before)
			time.Sleep(2 * time.Second) // calls that fail after the renewal count, too
			s.end(t)
		})
	}
}

// TestTheLeaderWorksWithoutTheCertificatesSecret deletes the secret before another term of
// the leader. It is not parallel, because it changes the installation.
func TestTheLeaderWorksWithoutTheCertificatesSecret(t *testing.T) {
	before := served(t)
	system(t, "delete", "secret", "koordinator-cert")
	t.Cleanup(func() { install(t) }) // creates the secret again
	deposed(t)()
	eventually(t, "the end of certificate rotation", func() (bool, string) {
		out := system(t, "logs", "-l", ours, "--tail=-1")
		return strings.Contains(out, "certificate rotation ends, to begin again"), out[max(0, len(out)-500):]
	})
	ns := namespace(t, enabled) // without a grant yet
	apply(t, ns, podOf("granted", notes{"start-deps": "main: proxy", "stop-deps": "proxy: main", "source": "pod"}, "\n  restartPolicy: Never\n  containers:"+pair))
	proxyFirst(t, ns, ended(t, ns, "granted"))
	for l := range strings.Lines(system(t, "logs", "-l", ours, "--tail=-1")) {
		if strings.Contains(l, "leader's work ends") && strings.Contains(l, "acquiring secret") {
			t.Errorf("the secret ends all of the leader's work: %s", l)
		}
	}
	install(t)
	renewed(t, before)
}

// served returns the fingerprint of the certificate that each replica serves.
func served(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, p := range replicas(t) {
		for l := range strings.Lines(system(t, "logs", p.Name)) {
			var record struct{ Fingerprint string }
			if json.Unmarshal([]byte(l), &record) == nil && record.Fingerprint != "" {
				all[p.Name] = record.Fingerprint
			}
		}
	}
	return all
}

// renewed waits until every replica serves the same certificate, and not the previous one.
func renewed(t *testing.T, before map[string]string) {
	t.Helper()
	var now map[string]string
	looks := 0
	eventually(t, "the new certificate", func() (bool, string) {
		if looks++; looks%20 == 0 { // the kubelet may have synchronized before it knew the new secret
			refreshVolumes(t)
		}
		now = served(t)
		different := map[string]bool{}
		for name, fingerprint := range now {
			different[fingerprint] = true
			if before[name] == fingerprint {
				return false, name + " still has " + fingerprint
			}
		}
		return len(now) == len(before) && len(different) == 1, "replicas differ"
	})
	t.Logf("%v -> %v", before, now)
}

// renewByCertManager makes cert-manager issue a certificate again, and waits until it has.
// cause triggers this. If cause is nil, the test triggers it as cert-manager's own command
// line tool does.
func renewByCertManager(t *testing.T, certificate string, cause func()) {
	t.Helper()
	revision := func() string {
		return system(t, "get", "certificate", certificate, "-o", "jsonpath={.status.revision}")
	}
	before := revision()
	if cause != nil {
		cause()
	} else {
		now := time.Now().UTC().Format(time.RFC3339)
		system(t, "patch", "certificate", certificate, "--subresource=status", "--type=merge", "-p",
			`{"status": {"conditions": [{"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "test", "lastTransitionTime": "`+now+`"}]}}`)
	}
	eventually(t, "certificate "+certificate, func() (bool, string) { r := revision(); return r != before, r })
}

// refreshVolumes makes the kubelet synchronize the replicas' volumes immediately, instead
// of within the next minute and a half.
func refreshVolumes(t *testing.T) {
	t.Helper()
	system(t, "annotate", "pod", "-l", ours, "--overwrite", "e2e="+time.Now().Format("150405.000"))
}
