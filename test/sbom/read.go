package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// program is what an image of one platform runs.
type program struct {
	os, architecture string
	digest           v1.Hash // of the image
	labels           map[string]string
	info             *debug.BuildInfo
}

// read finds the programs in a layout with one index.
func read(dir string) ([]program, error) {
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	list, err := top.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(list.Manifests) != 1 {
		return nil, fmt.Errorf("it has %d entries, want one index", len(list.Manifests))
	}
	index, err := top.ImageIndex(list.Manifests[0].Digest)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var programs []program
	for _, m := range manifest.Manifests {
		image, err := index.Image(m.Digest)
		if err != nil {
			return nil, err
		}
		p, err := inspect(image)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Digest, err)
		}
		programs = append(programs, p)
	}
	return programs, nil
}

// inspect reads an image's configuration and the program it starts.
func inspect(image v1.Image) (program, error) {
	digest, err := image.Digest()
	if err != nil {
		return program{}, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return program{}, err
	}
	if len(config.Config.Entrypoint) == 0 {
		return program{}, errors.New("the image has no entrypoint")
	}
	content, err := file(image, config.Config.Entrypoint[0])
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return program{}, err
	}
	return program{
		os: config.OS, architecture: config.Architecture, digest: digest,
		labels: config.Config.Labels, info: info,
	}, nil
}

// file is the content of a file in an image.
func file(image v1.Image, name string) ([]byte, error) {
	flat := mutate.Extract(image)
	defer func() { _ = flat.Close() }()
	for r := tar.NewReader(flat); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("there is no %s", name)
		}
		if err != nil {
			return nil, err
		}
		if path.Clean("/"+header.Name) == name {
			return io.ReadAll(r)
		}
	}
}
