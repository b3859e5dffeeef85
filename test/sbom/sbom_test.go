package main

import (
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// TestBill covers cases that do not occur in the bills of koordinator's own programs.
// test/images compares those with the modules that the programs import.
func TestBill(t *testing.T) {
	old := &debug.Module{Path: "example.org/old", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/new", Version: "v1.1.0", Sum: "h1:AAE="}}
	b := bill(image{
		digest: v1.Hash{Algorithm: "sha256", Hex: "00ff"},
		labels: map[string]string{labelled + "title": "thing", labelled + "source": "https://git.example/thing", labelled + "licenses": "Apache-2.0"},
		programs: []*debug.BuildInfo{
			{GoVersion: "go1.26.8", Path: "example.org/thing/cmd/a", Deps: []*debug.Module{old}},
			{GoVersion: "go1.26.8", Path: "example.org/thing/cmd/b", Deps: []*debug.Module{old}},
		},
	})
	const a, other, std, module = "example.org/thing/cmd/a", "example.org/thing/cmd/b", "pkg:golang/std@1.26.8", "pkg:golang/example.org/new@v1.1.0"
	if have := *refs(*b.Components); !slices.Equal(have, []string{a, other, module, std}) {
		t.Fatalf("components: %q", have)
	}
	if c := (*b.Components)[2]; (*c.Hashes)[0].Value != "0001" {
		t.Errorf("a replaced module is %+v", c)
	}
	needs := map[string][]string{}
	for _, d := range *b.Dependencies {
		needs[d.Ref] = *d.Dependencies
	}
	want := map[string][]string{"sha256:00ff": {a, other}, a: {std, module}, other: {std, module}}
	if !reflect.DeepEqual(needs, want) {
		t.Errorf("dependencies: %q, want %q", needs, want)
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
