// Package image builds the container images that a cluster without a registry needs for its start.
package image

import (
	"archive/tar"
	"bytes"
	_ "embed" // for the source of pause
	"fmt"
	"os"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PauseReference is the sandbox image. No registry has it; containerd's configuration names and pins it.
const PauseReference = "koordinator.local/pause:dev"

// PauseSource is the program in the sandbox image. It needs the standard library only.
//
//go:embed pause/main.go
var PauseSource []byte

// WritePause writes an archive of the sandbox image around the built program to path.
func WritePause(path, program string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	files := []file{{Name: "pause", Mode: 0o755, body: binary}}
	return write(path, PauseReference, files, v1.Config{Entrypoint: []string{"/pause"}, User: "65535:65535"})
}

// file is an entry in an image's only layer. The zero value of its type is a regular file.
type file struct {
	Name string
	Mode int64
	Type byte
	Link string
	body []byte
}

// write builds an image of one layer and writes it as an archive for `ctr images import`.
func write(path, reference string, files []file, config v1.Config) error {
	layer, err := pack(files)
	if err != nil {
		return fmt.Errorf("pack image %s: %w", reference, err)
	}
	// The layer is not compressed: it is read once, from the same disk.
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return fmt.Errorf("make image %s: %w", reference, err)
	}
	settings, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("configure image %s: %w", reference, err)
	}
	settings = settings.DeepCopy()
	// Without a platform, containerd assumes that the image is for another machine.
	settings.OS, settings.Architecture, settings.Config = "linux", runtime.GOARCH, config
	image, err = mutate.ConfigFile(image, settings)
	if err != nil {
		return fmt.Errorf("configure image %s: %w", reference, err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(path, tag, image)
}

// pack creates the tar archive of a layer. It contains no times, so the same files result
// in the same image.
func pack(files []file) ([]byte, error) {
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	for _, f := range files {
		header := tar.Header{Name: f.Name, Mode: f.Mode, Typeflag: f.Type, Linkname: f.Link, Size: int64(len(f.body))}
		if err := writer.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.body); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return layer.Bytes(), err
}
