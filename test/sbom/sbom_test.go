package main

import (
	"runtime/debug"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestBill is about what is not to be seen in the bills of our own programs;
// those are compared with the modules they import in test/images.
func TestBill(t *testing.T) {
	b := bill(program{
		digest: v1.Hash{Algorithm: "sha256", Hex: "00ff"},
		labels: map[string]string{labelled + "title": "thing", labelled + "source": "https://git.example/thing", labelled + "licenses": "Apache-2.0"},
		info: &debug.BuildInfo{GoVersion: "go1.26.8", Path: "example.org/thing/cmd", Deps: []*debug.Module{
			{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v1.1.0", Sum: "h1:AAE="}},
		}},
	})
	components := *b.Components
	if len(components) != 2 || components[0].PackageURL != "pkg:golang/std@1.26.8" {
		t.Fatalf("components: %+v", components)
	}
	if c := components[1]; c.PackageURL != "pkg:golang/example.org/new@v1.1.0" || (*c.Hashes)[0].Value != "0001" {
		t.Errorf("a replaced module is %+v", c)
	}
	if b.SerialNumber != "" {
		t.Errorf("the serial number %s makes every bill another one", b.SerialNumber)
	}
	if r := *b.Metadata.Component.ExternalReferences; r[0].Type != cyclonedx.ERTypeVCS || r[0].URL != "https://git.example/thing" {
		t.Errorf("references: %+v", r)
	}
}

func TestReadSaysWhatIsWrong(t *testing.T) {
	if _, err := read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("a directory that is no layout: %v", err)
	}
}
