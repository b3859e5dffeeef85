package release

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnceLeavesNothingBehindWhenItFails(t *testing.T) {
	cache := t.TempDir()
	dir, broken := filepath.Join(cache, "x-v1"), errors.New("broken")
	err := once(dir, func(unfinished string) error {
		if err := os.WriteFile(filepath.Join(unfinished, "half"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("error %v, want %v", err, broken)
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) > 0 {
		t.Fatalf("left: %v, error %v", entries, err)
	}
}

func TestOnceFillsOnce(t *testing.T) {
	dir, calls := filepath.Join(t.TempDir(), "x-v1"), 0
	for range 2 {
		err := once(dir, func(unfinished string) error {
			calls++
			return os.WriteFile(filepath.Join(unfinished, "program"), []byte("x"), 0o755)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "program")); err != nil || calls != 1 {
		t.Fatalf("filled %d times, error %v", calls, err)
	}
}

func TestMissingProgramsAreNamedInOrder(t *testing.T) {
	wanted := map[string]string{"runc": "runc", "etcd": "etcd-server", "ip": "iproute2"}
	got := missingPrograms(wanted, func(program string) bool { return program == "ip" })
	if strings.Join(got, " ") != "etcd runc" {
		t.Errorf("missing %q, want etcd runc", got)
	}
}

func TestExists(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	program := filepath.Join(dir, "some-program")
	if exists("some-program") || exists(program) {
		t.Error("a missing program exists")
	}
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if !exists("some-program") || !exists(program) {
		t.Error("a program is not found")
	}
	if exists(dir) {
		t.Error("a folder is taken for a program")
	}
}

func TestStatic(t *testing.T) {
	if static("/proc/self/mounts") || static("/nonexistent") {
		t.Error("what is no program is static")
	}
	if static("/bin/sh") {
		t.Error("/bin/sh needs no loader")
	}
}

func TestLastLines(t *testing.T) {
	if got := lastLines("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("got %q", got)
	}
	if got := lastLines("a", 2); got != "a" {
		t.Errorf("got %q", got)
	}
}
