package envfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadTakesFilesInTheirOrder(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a"), "A=1\nB=1\n")
	b := write(t, filepath.Join(dir, "b"), "B=2\n")
	link := filepath.Join(dir, "link") // a link, like the kubelet's files of a Secret
	if err := os.Symlink(b, link); err != nil {
		t.Fatal(err)
	}
	have, err := Read([]spec.EnvFile{{Path: a}, {Path: filepath.Join(dir, "none"), Optional: true}, {Path: link}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PATH=/bin", "A=1", "B=2"}
	if diff := cmp.Diff(want, Over([]string{"B=0", "PATH=/bin", "B=00", "A=0"}, have)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestReadNamesEveryFileThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("large"), strings.Repeat("#", maxSize+1))
	write(t, at("wrong"), "A=1\nhunter2\n")
	if err := unix.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	var files []spec.EnvFile
	for _, name := range []string{"none", "large", "wrong", "fifo", "."} {
		files = append(files, spec.EnvFile{Path: at(name)})
	}
	files = append(files, spec.EnvFile{Path: "/dev/zero", Optional: true})
	_, err := Read(files, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		"env file " + at("none") + ": no such file or directory: ", "env file " + at("large") + ": larger than 1 MiB",
		"env file " + at("wrong") + ": line 2: ", "env file " + at("fifo") + ": not a regular file",
		"env file " + at(".") + ": not a regular file", "env file /dev/zero: not a regular file",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %q", part, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error quotes a file: %v", err)
	}
}

func TestAFileOfOneMiBIsRead(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "env"), "A="+strings.Repeat("x", maxSize-2))
	have, err := Read([]spec.EnvFile{{Path: path}}, nil)
	if err != nil || len(have) != 1 || len(have[0].Value) != maxSize-2 {
		t.Fatalf("have %d variables, %v", len(have), err)
	}
}

func TestAnOptionalFileThatCannotBeReadIsAnError(t *testing.T) {
	dir := t.TempDir()
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink(loop, loop); err != nil {
		t.Fatal(err)
	}
	_, err := Read([]spec.EnvFile{{Path: loop, Optional: true}}, nil)
	if err == nil || !strings.Contains(err.Error(), "too many levels of symbolic links") {
		t.Fatalf("have %v", err)
	}
}
