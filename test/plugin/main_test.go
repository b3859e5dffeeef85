package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

func TestTheSameFilesGiveTheSameArchive(t *testing.T) {
	files := map[string][]byte{"b": []byte("two"), "a": []byte("one")}
	var one, two bytes.Buffer
	for _, to := range []*bytes.Buffer{&one, &two} {
		if err := tarball(to, time.Unix(1, 0), files); err != nil {
			t.Fatal(err)
		}
	}
	if one.Len() == 0 || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("%d and %d bytes, which differ", one.Len(), two.Len())
	}
}

func TestTheManifestNamesEveryPlatform(t *testing.T) {
	text, err := build{version: "v1.2.3", source: "https://example.com/koordinator"}.manifest([]archive{
		{"linux", "amd64", "kubectl-koordinator", "a.tar.gz", "12"}, {"windows", "arm64", "kubectl-koordinator.exe", "b.tar.gz", "34"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var have struct {
		Spec struct {
			Version   string
			Platforms []struct{ URI, SHA256, Bin string }
		}
	}
	if err := yaml.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	p := have.Spec.Platforms
	if have.Spec.Version != "v1.2.3" || len(p) != 2 || p[1].Bin != "kubectl-koordinator.exe" || p[1].SHA256 != "34" ||
		p[0].URI != "https://example.com/koordinator/releases/download/v1.2.3/a.tar.gz" {
		t.Errorf("have\n%s", text)
	}
}

func TestAPlatformWithoutAnArchitectureIsRefused(t *testing.T) {
	if err := (build{dir: filepath.Join(t.TempDir(), "bin")}).run([]string{"linux"}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat("kubectl-koordinator"); err == nil {
		t.Error("something was built here")
	}
}
