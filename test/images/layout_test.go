package main

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// layered writes the archive of an image, with a layer for each list of entries, in the
// form that an engine writes.
func layered(t *testing.T, config v1.Config, layers ...[]tar.Header) string {
	t.Helper()
	made := empty.Image
	for _, headers := range layers {
		var packed bytes.Buffer
		w := tar.NewWriter(&packed)
		for _, h := range headers {
			content := []byte("the content of " + filepath.Base(h.Name))
			if h.Typeflag == tar.TypeReg {
				h.Size = int64(len(content))
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				if _, err := w.Write(content); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		if made, err = mutate.AppendLayers(made, layer); err != nil {
			t.Fatal(err)
		}
	}
	made, err := mutate.Config(made, config)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(at, name.MustParseReference("example/image:1"), made); err != nil {
		t.Fatal(err)
	}
	return at
}

var (
	arm  = v1.Platform{OS: "linux", Architecture: "arm64"}
	then = time.Unix(1800000000, 0).UTC()
)

// TestTheSameFilesMakeTheSameImage checks this for different archives of different engines.
func TestTheSameFilesMakeTheSameImage(t *testing.T) {
	config := v1.Config{User: "65532:65532", Entrypoint: []string{"/bin/program"}, Labels: map[string]string{"a": "b"}}
	noisy := config
	noisy.WorkingDir, noisy.ArgsEscaped = "/", true
	one := layered(t, config, []tar.Header{
		{Typeflag: tar.TypeDir, Name: "bin/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "bin/program", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "bin/link", Linkname: "program", Mode: 0o777},
		{Typeflag: tar.TypeReg, Name: "LICENSE", Mode: 0o644},
		{Typeflag: tar.TypeDir, Name: "place/", Mode: 0o755},
	})
	other := layered(t, noisy, []tar.Header{
		{Typeflag: tar.TypeReg, Name: "LICENSE", Mode: 0o664, ModTime: then.Add(-time.Hour), Uid: 1000},
		{Typeflag: tar.TypeReg, Name: "gone", Mode: 0o644},
	}, []tar.Header{
		{Typeflag: tar.TypeReg, Name: ".wh.gone"},
		{Typeflag: tar.TypeSymlink, Name: "./bin/link", Linkname: "program", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./bin/program", Mode: 0o775, ModTime: then.Add(time.Hour)},
		{Typeflag: tar.TypeDir, Name: "./place", Mode: 0o700, Uid: 1000},
	})
	var digests []v1.Hash
	for _, archive := range []string{one, other} {
		made, err := canonical(image{name: "thing", platform: arm, archive: archive, options: options{created: then}})
		if err != nil {
			t.Fatal(err)
		}
		digest, err := made.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %s and %s", digests[0], digests[1])
	}
}

// TestTheLayoutHoldsEveryPlatformAndTheArchiveOne checks that the one platform is the host's.
func TestTheLayoutHoldsEveryPlatformAndTheArchiveOne(t *testing.T) {
	archive := layered(t, v1.Config{Labels: map[string]string{"org.opencontainers.image.version": "v1"}},
		[]tar.Header{{Typeflag: tar.TypeReg, Name: "etc/deep/file", Mode: 0o640}})
	host := v1.Platform{OS: "linux", Architecture: "amd64"}
	o := options{version: "v1", created: then}
	var built []platformImage
	for _, p := range []v1.Platform{arm, host} {
		made, err := canonical(image{name: "thing", platform: p, archive: archive, options: o})
		if err != nil {
			t.Fatal(err)
		}
		built = append(built, platformImage{p, made})
	}
	dir := filepath.Join(t.TempDir(), "thing")
	for range 2 { // the second replaces the first
		if _, err := write(dir, "thing", o, host, built); err != nil {
			t.Fatal(err)
		}
	}
	local, err := tarball.ImageFromPath(dir+".tar", nil)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := local.ConfigFile(); err != nil || config.Architecture != "amd64" || !config.Created.Equal(then) {
		t.Errorf("the archive is of %+v, %v", config, err)
	}
	index := indexAt(t, dir)
	var platforms []string
	for _, m := range index.Manifests {
		platforms = append(platforms, m.Platform.String())
	}
	if want := []string{"linux/arm64", "linux/amd64"}; !slices.Equal(platforms, want) {
		t.Errorf("the layout has %v, want %v", platforms, want)
	}
	if want := map[string]string{"org.opencontainers.image.version": "v1"}; !cmp.Equal(index.Annotations, want) {
		t.Errorf("the index has the annotations %v, want %v", index.Annotations, want)
	}
	files, err := readFiles(local)
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := files["etc/deep/file"]; !ok || f.header.Mode != 0o644 || string(f.content) != "the content of file" {
		t.Errorf("the file is %+v", f)
	}
}

// openIndex returns the only index in a layout.
func openIndex(t *testing.T, dir string) v1.ImageIndex {
	t.Helper()
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Manifests) != 1 {
		t.Fatalf("%s has %d entries, want 1", dir, len(list.Manifests))
	}
	index, err := top.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// indexAt returns the manifest of that index.
func indexAt(t *testing.T, dir string) *v1.IndexManifest {
	t.Helper()
	manifest, err := openIndex(t, dir).IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}
