package main

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// archive is a packed program.
type archive struct{ os, arch, program, name, sum string }

// object is a JSON object.
type object = map[string]any

// manifest returns the manifest with which krew finds the archives. Source:
// https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/
func (b build) manifest(all []archive) ([]byte, error) {
	var platforms []object
	for _, a := range all {
		platforms = append(platforms, object{
			"selector": object{"matchLabels": object{"os": a.os, "arch": a.arch}},
			"uri":      b.source + "/releases/download/" + b.version + "/" + a.name,
			"sha256":   a.sum,
			"bin":      a.program,
			"files":    []object{{"from": a.program, "to": "."}, {"from": "LICENSE", "to": "."}},
		})
	}
	version := b.version
	if !strings.HasPrefix(version, "v") {
		version = "v0.0.0-" + version // krew accepts semantic versions only
	}
	return yaml.Marshal(object{
		"apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
		"kind":       "Plugin",
		"metadata":   object{"name": "koordinator"},
		"spec": object{
			"version":          version,
			"homepage":         b.source,
			"shortDescription": "Draw, simulate and follow the order of a pod's containers",
			"description": "Draws and simulates the order in which koordinator starts and stops the containers of a pod,\n" +
				"and shows what happened in pods that run or have ended.\n",
			"platforms": platforms,
		},
	})
}

// tarball writes files in alphabetical order and with one time, so that the same files
// result in the same archive.
func tarball(to io.Writer, created time.Time, files map[string][]byte) error {
	zip := gzip.NewWriter(to)
	pack := tar.NewWriter(zip)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), ModTime: created, Format: tar.FormatPAX}
		if err := pack.WriteHeader(header); err != nil {
			return err
		}
		if _, err := pack.Write(files[name]); err != nil {
			return err
		}
	}
	if err := pack.Close(); err != nil {
		return err
	}
	return zip.Close()
}
