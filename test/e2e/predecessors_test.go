//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestTheManifestsOfPredecessorsRunUnchanged runs them with koordinator's image.
func TestTheManifestsOfPredecessorsRunUnchanged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, job string
		speaks    string // the container whose log contains says
		says      string
		zero      []string // containers that exit with 0
	}{
		{"kubexit", "client-server-job", "client", "hello from the server", []string{"client", "server"}},
		{"proa", "proa", "main", "still here", []string{"main", "sidecar-1"}},
		{"hbt-koordinator", "hbt-koordinator", "main-container", "waiting", []string{"main-container", "cloud-sql-proxy"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			abreast(t)
			ns := namespace(t)
			apply(t, ns, predecessor(t, tt.file))
			pod, condition := job(t, ns, tt.job)
			if condition != "Complete" {
				t.Errorf("Job %s, want Complete", condition)
			}
			if out := logs(t, ns, pod.Name, tt.speaks); !out.has(tt.says) {
				t.Errorf("%s never said %q:\n%s", tt.speaks, tt.says, out)
			}
			for _, name := range tt.zero {
				if e := terminated(t, pod, name); e.ExitCode != 0 {
					t.Errorf("%s exited with %d (%s), want 0", name, e.ExitCode, e.Message)
				}
			}
		})
	}
	t.Run("essential-containers", func(t *testing.T) {
		abreast(t)
		ns := namespace(t, enabled)
		apply(t, ns, predecessor(t, "essential-containers"))
		eventually(t, "the pod's end", func() (bool, string) {
			phase := kubectl(t, "-n", ns, "get", "pod", "ng", "-o", "jsonpath={.status.phase}")
			return phase == string(corev1.PodSucceeded), phase
		})
	})
}

// predecessor returns a manifest of another system.
func predecessor(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "predecessors", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
