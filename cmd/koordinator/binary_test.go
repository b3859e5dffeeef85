package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheBinaryIsSmallAndStatic builds the wrapper as its image does: it is
// copied into every pod and must run where there is nothing else.
func TestTheBinaryIsSmallAndStatic(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile.wrapper")
	if err != nil {
		t.Fatal(err)
	}
	const flags = "-trimpath -tags nethttpomithttp2"
	if !strings.Contains(string(dockerfile), "go build "+flags) {
		t.Fatalf("Dockerfile.wrapper does not build with %s", flags)
	}
	path := filepath.Join(t.TempDir(), "koordinator")
	args := append(append([]string{"build"}, strings.Fields(flags)...), "-ldflags", "-s -w", "-o", path, ".")
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 8e6 {
		t.Errorf("the binary has %d bytes, want at most 8 MB", info.Size())
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %s header: it is not static", p.Type)
		}
	}
}
