package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// platformImage is an image for one platform.
type platformImage struct {
	platform v1.Platform
	image    v1.Image
}

// canonical returns the image in an engine's archive in a canonical form, which depends
// only on its contents: one layer, files in the order of their names, owned by root, with
// one time, and with modes that no umask has changed. Engines differ in all these points,
// and in the history that they record.
func canonical(i image) (v1.Image, error) {
	built, err := tarball.ImageFromPath(i.archive, nil)
	if err != nil {
		return nil, err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	files, err := readFiles(built)
	if err != nil {
		return nil, err
	}
	packed, err := pack(files, i.created)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(packed)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	return assemble(i, config.Config, layer)
}

// assemble returns an image of one layer, with the configuration fields that the Dockerfiles set.
func assemble(i image, set v1.Config, layer v1.Layer) (v1.Image, error) {
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: i.created}, CreatedBy: "Dockerfile." + i.name},
	})
	if err != nil {
		return nil, err
	}
	config, err := made.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = i.platform.OS, i.platform.Architecture, i.platform.Variant
	config.Created = v1.Time{Time: i.created}
	config.Config = v1.Config{User: set.User, Env: set.Env, Entrypoint: set.Entrypoint, Cmd: set.Cmd, Labels: set.Labels}
	return mutate.ConfigFile(made, config)
}

// file is a file or a link in an image.
type file struct {
	header  tar.Header
	content []byte
}

// readFiles returns an image's files by name. Directories end with a slash.
func readFiles(built v1.Image) (map[string]file, error) {
	flat := mutate.Extract(built)
	defer func() { _ = flat.Close() }()
	files := map[string]file{}
	for r := tar.NewReader(flat); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		switch header.Typeflag {
		case tar.TypeDir:
			if name != "" {
				files[name+"/"] = file{header: *header}
			}
		case tar.TypeReg, tar.TypeSymlink:
			content, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			files[name] = file{header: *header, content: content}
		default:
			return nil, fmt.Errorf("%s is neither a file nor a symbolic link", name)
		}
	}
}

// pack returns the tar archive of files and of the directories that they need.
func pack(files map[string]file, created time.Time) ([]byte, error) {
	entries := map[string]file{}
	for name, f := range files {
		mode := int64(0o644)
		if f.header.Mode&0o111 != 0 || f.header.Typeflag != tar.TypeReg {
			mode = 0o755
		}
		entries[name] = file{content: f.content, header: tar.Header{
			Typeflag: f.header.Typeflag, Name: name, Linkname: f.header.Linkname, Mode: mode, Size: int64(len(f.content)),
		}}
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			entries[dir+"/"] = file{header: tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}}
		}
	}
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	for _, name := range sortedKeys(entries) {
		e := entries[name]
		e.header.ModTime, e.header.Format = created, tar.FormatUSTAR
		if err := w.WriteHeader(&e.header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	return packed.Bytes(), w.Close()
}

func sortedKeys(entries map[string]file) []string {
	var names []string
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// write writes an image of several platforms as the layout dir, and the image of one
// platform as the archive dir.tar. This is the host's platform or, if it is missing, the
// first. write returns a description in one line.
func write(dir, name string, o options, host v1.Platform, built []platformImage) (string, error) {
	index, err := indexOf(built)
	if err != nil {
		return "", err
	}
	if err := writeLayout(dir, o.version, index); err != nil {
		return "", err
	}
	local := built[0].image
	for _, b := range built {
		if b.platform.Equals(host) {
			local = b.image
		}
	}
	if err := writeArchive(dir+".tar", name, o.version, local); err != nil {
		return "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir + ".tar")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s  %s  %.1f MB", filepath.Join(o.out, name), digest, float64(info.Size())/1e6), nil
}

// indexOf returns the index of images that differ only in their platform. The index has
// their labels as annotations, where registries look for them.
func indexOf(built []platformImage) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range built {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image, Descriptor: v1.Descriptor{Platform: &b.platform}})
	}
	config, err := built[0].image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(index, config.Config.Labels).(v1.ImageIndex), nil
}

// writeLayout replaces dir when the new layout is complete.
func writeLayout(dir, version string, index v1.ImageIndex) error {
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	written, err := layout.Write(part, empty.Index)
	if err != nil {
		return err
	}
	ref := map[string]string{"org.opencontainers.image.ref.name": version}
	if err := written.AppendIndex(index, layout.WithAnnotations(ref)); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(part, dir)
}

// writeArchive replaces an archive when the new one is complete.
func writeArchive(at, image, version string, i v1.Image) error {
	tag, err := name.NewTag("docker.io/koordinator/" + image + ":" + version)
	if err != nil {
		return err
	}
	part := at + ".part"
	defer func() { _ = os.Remove(part) }()
	if err := tarball.WriteToFile(part, tag, i); err != nil {
		return err
	}
	return os.Rename(part, at)
}
