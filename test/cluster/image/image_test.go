package image

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// open reads the only image of an archive, and checks containerd's requirements for an image.
func open(t *testing.T, path string) (v1.Image, *v1.ConfigFile) {
	t.Helper()
	image, err := tarball.ImageFromPath(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != runtime.GOARCH {
		t.Errorf("platform %s/%s", config.OS, config.Architecture)
	}
	return image, config
}

// contents lists the headers of an image's files by name.
func contents(t *testing.T, image v1.Image) map[string]*tar.Header {
	t.Helper()
	files := map[string]*tar.Header{}
	layers := mutate.Extract(image)
	defer layers.Close()
	for reader := tar.NewReader(layers); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Clean(header.Name)] = header
	}
}

func TestBusybox(t *testing.T) {
	dir := t.TempDir()
	program, archive := filepath.Join(dir, "busybox"), filepath.Join(dir, "busybox.tar")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf 'busybox\\nls\\nsh\\n'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteBusybox(archive, program); err != nil {
		t.Fatal(err)
	}
	image, config := open(t, archive)
	if len(config.Config.Cmd) != 1 || config.Config.Cmd[0] != "sh" {
		t.Errorf("command %q", config.Config.Cmd)
	}
	files := contents(t, image)
	for _, link := range []string{"bin/ls", "bin/sh"} {
		if files[link] == nil || files[link].Typeflag != tar.TypeSymlink || files[link].Linkname != "busybox" {
			t.Errorf("%s is %+v", link, files[link])
		}
	}
	if busybox := files["bin/busybox"]; busybox == nil || busybox.Typeflag != tar.TypeReg || busybox.Mode != 0o755 {
		t.Errorf("bin/busybox is %+v", busybox)
	}
	if tmp := files["tmp"]; tmp == nil || tmp.Mode != 0o1777 {
		t.Errorf("tmp is %+v: everybody must be able to write there", tmp)
	}
	if files["etc/passwd"] == nil || files["etc/group"] == nil {
		t.Error("no users or groups")
	}
}

func TestPauseIsTheSameEveryTime(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "pause")
	if err := os.WriteFile(program, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	var digests [2]v1.Hash
	for i := range digests {
		archive := filepath.Join(dir, "pause.tar")
		if err := WritePause(archive, program); err != nil {
			t.Fatal(err)
		}
		image, config := open(t, archive)
		if len(config.Config.Entrypoint) != 1 || config.Config.Entrypoint[0] != "/pause" || contents(t, image)["pause"] == nil {
			t.Errorf("entry point %q", config.Config.Entrypoint)
		}
		var err error
		if digests[i], err = image.ConfigName(); err != nil {
			t.Fatal(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("%s and %s", digests[0], digests[1])
	}
}
