package commands

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestMountedFilesAreReadAgainWhenTheyWereReplaced(t *testing.T) {
	dir := t.TempDir()
	m := &mountedFiles[int]{dir: dir, log: slog.New(slog.DiscardHandler), parse: func(files map[string]string) (int, []error) {
		return len(files["a"]), []error{errors.New("told")}
	}}
	put := func(version, text string) { // replaces the files like the kubelet
		t.Helper()
		if err := errors.Join(
			os.Mkdir(filepath.Join(dir, version), 0o755),
			os.WriteFile(filepath.Join(dir, version, "a"), []byte(text), 0o600),
			os.Symlink(version, filepath.Join(dir, "..tmp")),
			os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")),
		); err != nil {
			t.Fatal(err)
		}
	}
	put("..1", "x")
	if err := os.Symlink("..data/a", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"x", "xx", "xxx"} {
		if i > 0 {
			put("..new"+text, text)
		}
		if have := m.get(); have != len(text) {
			t.Errorf("%d, want %d", have, len(text))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if have := m.get(); have != 3 {
		t.Errorf("%d of a directory that is gone, want what was there", have)
	}
}
