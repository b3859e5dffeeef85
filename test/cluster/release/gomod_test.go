package release

import (
	"strings"
	"testing"
)

func TestBuildModule(t *testing.T) {
	tests := []struct {
		name, goMod, module, version string
		want, absent                 []string
		wantErr                      string
	}{
		{
			name: "staging modules are taken from where they are published",
			goMod: `module k8s.io/kubernetes
go 1.26.0
godebug default=go1.26
require (
	example.com/other v1.2.3
	k8s.io/api v0.0.0
)
replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)`,
			module: "k8s.io/kubernetes", version: "v1.36.3",
			want: []string{
				"k8s.io/api => k8s.io/api v0.36.3", "k8s.io/client-go => k8s.io/client-go v0.36.3",
				"k8s.io/kubernetes v1.36.3", "example.com/other v1.2.3", "go 1.26.0", "godebug default=go1.26",
			},
			absent: []string{"staging", "module k8s.io/kubernetes"},
		},
		{
			name:   "another minor version has its own staging modules",
			goMod:  "module k8s.io/kubernetes\ngo 1.24.0\nreplace k8s.io/cri-client => ./staging/src/k8s.io/cri-client",
			module: "k8s.io/kubernetes", version: "v1.34.4",
			want: []string{"k8s.io/cri-client => k8s.io/cri-client v0.34.4", "k8s.io/kubernetes v1.34.4"},
		},
		{
			name:   "a published replacement stays",
			goMod:  "module helm.sh/helm/v4\ngo 1.26.0\nreplace example.com/a => example.com/b v1.0.0",
			module: "helm.sh/helm/v4", version: "v4.3.1",
			want: []string{"example.com/a => example.com/b v1.0.0", "helm.sh/helm/v4 v4.3.1"},
		},
		{
			name:   "the toolchain is the machine's",
			goMod:  "module a.example/a\ngo 1.25.0\ntoolchain go1.25.9",
			module: "a.example/a", version: "v1.0.0",
			want: []string{"go 1.25.0"}, absent: []string{"toolchain"},
		},
		{
			name:   "a folder that is published nowhere is refused",
			goMod:  "module a.example/a\ngo 1.25.0\nreplace b.example/b => ../b",
			module: "a.example/a", version: "v1.0.0",
			wantErr: "a.example/a replaces b.example/b by ../b, which is published nowhere",
		},
		{
			name:   "staging needs a version like that of Kubernetes",
			goMod:  "module a.example/a\ngo 1.25.0\nreplace b.example/b => ./staging/src/b.example/b",
			module: "a.example/a/v2", version: "v2.0.0",
			wantErr: "v1.MINOR.PATCH",
		},
		{name: "nonsense is refused", goMod: "what is this", module: "a.example/a", version: "v1.0.0", wantErr: "a.example/a/go.mod:1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := buildModule([]byte(test.goMod), test.module, test.version)
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("error %v, want one with %q", err, test.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("%q is missing in:\n%s", want, got)
				}
			}
			for _, absent := range test.absent {
				if strings.Contains(string(got), absent) {
					t.Errorf("%q is left in:\n%s", absent, got)
				}
			}
		})
	}
}

func TestBundles(t *testing.T) {
	for _, wrong := range []string{"", "v1.36.3", "1.36", "2.0.0", "1.38.0-beta", "1.37.2+k3s1", "1.36.3/../x"} {
		if _, err := bundles(wrong); err == nil {
			t.Errorf("version %q is accepted", wrong)
		}
	}
	for version, minor := range map[string]string{"1.34.4": "34", "1.38.0-beta.0": "38", "1.38.0-rc.1": "38"} {
		got, err := bundles(version)
		if err != nil {
			t.Fatal(err)
		}
		flags := got[0].linkerFlags()
		for _, want := range []string{"k8s.io/component-base/version.gitVersion=v" + version, "k8s.io/component-base/version.gitMinor=" + minor} {
			if !strings.Contains(flags, want) {
				t.Errorf("linker flags %q lack %q", flags, want)
			}
		}
	}
}
