package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// most is the maximum size of the programs in bytes. They are copied into pods.
var most = map[string]int64{"koordinator": 4.1e6, "koordinator-net": 7.0e6}

// TestTheProgramsAreSmallAndStatic builds both programs in the same way as their
// image: they must run where there is nothing else.
func TestTheProgramsAreSmallAndStatic(t *testing.T) {
	dockerfile, err := os.ReadFile("../../Dockerfile.wrapper")
	if err != nil {
		t.Fatal(err)
	}
	const flags = "-trimpath -tags nethttpomithttp2"
	if !strings.Contains(string(dockerfile), "go build "+flags) {
		t.Fatalf("Dockerfile.wrapper does not build with %s", flags)
	}
	dir := t.TempDir()
	args := append(append([]string{"build"}, strings.Fields(flags)...), "-ldflags", "-s -w", "-o", dir+"/", ".", "../koordinator-net")
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, limit := range most {
		t.Run(name, func(t *testing.T) { check(t, filepath.Join(dir, name), limit) })
	}
}

// check checks one program.
func check(t *testing.T, path string, most int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("it has %d bytes, want at most %d", info.Size(), most)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a %s header: it is not static", p.Type)
		}
	}
}
