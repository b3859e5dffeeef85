//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"
)

// TestEveryRenderingIsAccepted makes the API server validate the chart with each of its ci/
// files, and config/, in a dry run. The API server rejects unknown fields.
func TestEveryRenderingIsAccepted(t *testing.T) {
	abreast(t)
	for _, know := range []func() error{
		func() error { return cluster.CertManagerKinds(t.Context()) },
		func() error { return cluster.PrometheusKinds(t.Context()) },
	} {
		if err := know(); err != nil {
			t.Fatal(err)
		}
	}
	judged := []string{"apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"}
	files, err := filepath.Glob(filepath.Join(cluster.Root, "charts/koordinator/ci/*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	ns := namespace(t) // a namespace in which no policy rejects pods without a security context
	kubectl(t, "-n", ns, "create", "serviceaccount", "koordinator")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			release, err := cluster.Template(t.Context(), "--namespace", ns, "--values", file)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := try(t, release, append(judged, "-f", "-")...); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("kustomize", func(t *testing.T) { kubectl(t, append(judged, "-k", "config/default")...) })
}
