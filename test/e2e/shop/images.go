package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// images lists the images in the registry, by name and platform.
var images = map[string]map[string]v1.Config{
	// ENTRYPOINT and CMD with text that the kubelet would expand, and a signal.
	"team/app:1": all(v1.Config{
		Entrypoint: []string{"shop", "run", "$(HOME)", "$$"}, Cmd: []string{"of", "the", "image"},
		StopSignal: "SIGUSR1", Env: []string{"PATH=/bin/of/the/image", "HOME=/root"}, User: "65532",
	}),
	// A different command on each platform.
	"team/multi:1": {
		"linux/amd64": {Entrypoint: []string{"/bin/of/the/image/shop", "run", "amd64"}, User: "65532"},
		"linux/arm64": {Entrypoint: []string{"/bin/of/the/image/shop", "run", "arm64"}, User: "65532"},
	},
	"team/later:1": all(v1.Config{Entrypoint: []string{"/bin/of/the/image/shop", "run"}, User: "65532"}),
}

// all returns the same configuration for every platform.
func all(c v1.Config) map[string]v1.Config {
	return map[string]v1.Config{"linux/amd64": c, "linux/arm64": c}
}

// fill writes the images' configurations into a registry.
func fill(registry http.Handler) error {
	server := httptest.NewServer(registry)
	defer server.Close()
	for as, platforms := range images {
		ref, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://")+"/"+as, name.Insecure)
		if err != nil {
			return err
		}
		index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
		for platform, config := range platforms {
			image, p, err := made(platform, config)
			if err != nil {
				return err
			}
			index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: p}})
		}
		if err := remote.WriteIndex(ref, index); err != nil {
			return fmt.Errorf("write %s: %w", as, err)
		}
	}
	return nil
}

// made returns an image for one platform, without content.
func made(platform string, config v1.Config) (v1.Image, *v1.Platform, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, nil, err
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: p.OS, Architecture: p.Architecture, Config: config})
	return image, p, err
}

// archive writes an archive of each image for this machine, and one of the registry. All
// contain this program.
func archive(dir string) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return packed(program) })
	if err != nil {
		return err
	}
	here := "linux/" + runtime.GOARCH
	configs := map[string]v1.Config{"shop:1": {Entrypoint: []string{"/bin/of/the/image/shop"}, Cmd: []string{"registry"}, User: "65532"}}
	for as, platforms := range images {
		configs[Host+"/"+as] = platforms[here]
	}
	for as, config := range configs {
		image, _, err := made(here, config)
		if err == nil {
			image, err = mutate.AppendLayers(image, layer)
		}
		if err != nil {
			return err
		}
		tag, err := name.NewTag(as)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, strings.NewReplacer("/", "-", ":", "-").Replace(as)+".tar")
		if err := tarball.WriteToFile(path, tag, image); err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}

// packed returns a layer with the program.
func packed(program []byte) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"bin", "bin/of", "bin/of/the", "bin/of/the/image"} {
		if err := w.WriteHeader(&tar.Header{Name: dir + "/", Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Name: "bin/of/the/image/shop", Mode: 0o755, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), w.Close()
}
