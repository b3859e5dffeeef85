package podstatus

import (
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/spec"
)

func TestFromCluster(t *testing.T) {
	access := map[string]string{spec.APIAccess + "/token": "t", spec.APIAccess + "/ca.crt": "ca"}
	with := func(more ...string) map[string]string {
		all := maps.Clone(access)
		for i := 0; i+1 < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	v4 := map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
	named := map[string]string{
		"KUBERNETES_SERVICE_HOST": "fd00:10:96::1", "KUBERNETES_SERVICE_PORT": "6443",
		spec.EnvPodName: "web-0", spec.EnvPodNamespace: "shop",
	}
	config := func(server, namespace, pod string) Config {
		return Config{Server: server, TokenFile: spec.APIAccess + "/token", CAFile: spec.APIAccess + "/ca.crt", Namespace: namespace, Pod: pod}
	}
	tests := []struct {
		name       string
		env, files map[string]string
		want       Config
		missing    []string // parts of the error
	}{
		{
			name: "names from the environment, server IPv6", env: named, files: with(spec.PodinfoDir+"/name", "other"),
			want: config("https://[fd00:10:96::1]:6443", "shop", "web-0"),
		},
		{
			name: "names from our podinfo", env: v4,
			files: with(spec.PodinfoDir+"/name", "web-1\n", spec.PodinfoDir+"/namespace", "shop", spec.HBTPodinfo+"/name", "other"),
			want:  config("https://10.96.0.1:443", "shop", "web-1"),
		},
		{
			name: "names from HBT's podinfo", env: v4,
			files: with(spec.HBTPodinfo+"/name", "web-2", spec.PodinfoDir+"/namespace", "", spec.HBTPodinfo+"/namespace", "shop"),
			want:  config("https://10.96.0.1:443", "shop", "web-2"),
		},
		{
			name: "everything missing, all said at once",
			missing: []string{
				"KUBERNETES_SERVICE_HOST", spec.APIAccess + "/token", spec.APIAccess + "/ca.crt", "automountServiceAccountToken",
				"pod name unknown", spec.EnvPodName, "namespace unknown", spec.EnvPodNamespace, spec.PodinfoDir, spec.HBTPodinfo,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			read := func(file string) ([]byte, error) {
				if text, ok := test.files[file]; ok {
					return []byte(text), nil
				}
				return nil, &fs.PathError{Op: "open", Path: file, Err: fs.ErrNotExist}
			}
			got, err := fromCluster(func(name string) string { return test.env[name] }, read)
			if (err != nil) != (test.missing != nil) {
				t.Fatalf("error = %v", err)
			}
			for _, part := range test.missing {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in: %v", part, err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestServerPutsBracketsAroundIPv6(t *testing.T) {
	for _, test := range [][3]string{
		{"10.96.0.1", "443", "https://10.96.0.1:443"},
		{"fd00::1", "443", "https://[fd00::1]:443"},
		{"[fd00::1]", "443", "https://[fd00::1]:443"},
		{"kubernetes.default.svc", "6443", "https://kubernetes.default.svc:6443"},
		{"", "443", ""},
		{"10.96.0.1", "", ""},
	} {
		if got := server(test[0], test[1]); got != test[2] {
			t.Errorf("server(%q, %q) = %q, want %q", test[0], test[1], got, test[2])
		}
	}
}
