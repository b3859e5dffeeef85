package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// image is an image for one platform.
type image struct {
	os, architecture string
	digest           v1.Hash
	labels           map[string]string
	programs         []*debug.BuildInfo // in the order of their packages
}

// read reads the images of a layout with one index.
func read(dir string) ([]image, error) {
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
	var images []image
	for _, m := range manifest.Manifests {
		found, err := index.Image(m.Digest)
		if err != nil {
			return nil, err
		}
		i, err := inspect(found)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Digest, err)
		}
		images = append(images, i)
	}
	return images, nil
}

// inspect reads an image's configuration and the programs in it.
func inspect(from v1.Image) (image, error) {
	digest, err := from.Digest()
	if err != nil {
		return image{}, err
	}
	config, err := from.ConfigFile()
	if err != nil {
		return image{}, err
	}
	programs, err := programsOf(from)
	if err != nil {
		return image{}, err
	}
	if len(programs) == 0 {
		return image{}, errors.New("the image contains no Go program")
	}
	return image{
		os: config.OS, architecture: config.Architecture, digest: digest,
		labels: config.Config.Labels, programs: programs,
	}, nil
}

// programsOf returns what the Go linker left in each executable file of an image.
func programsOf(from v1.Image) ([]*debug.BuildInfo, error) {
	flat := mutate.Extract(from)
	defer func() { _ = flat.Close() }()
	var programs []*debug.BuildInfo
	for r := tar.NewReader(flat); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			slices.SortFunc(programs, func(a, b *debug.BuildInfo) int { return strings.Compare(a.Path, b.Path) })
			return programs, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag != tar.TypeReg || header.Mode&0o111 == 0 {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.Read(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", header.Name, err)
		}
		programs = append(programs, info)
	}
}
