package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// labelled is the prefix of the labels that every image has
// (https://specs.opencontainers.org/image-spec/annotations/).
const labelled = "org.opencontainers.image."

// write writes the bill of one program.
func write(at string, p program) error {
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bill(p), cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(at, text.Bytes(), 0o644)
}

// bill lists the modules of a program and the Go it was compiled with. It has
// neither a serial number nor the time it is written at: both would make two
// bills of the same program differ.
func bill(p program) *cyclonedx.BOM {
	image := cyclonedx.Component{
		BOMRef:      p.digest.String(),
		Type:        cyclonedx.ComponentTypeContainer,
		Name:        p.labels[labelled+"title"],
		Version:     p.labels[labelled+"version"],
		Description: p.labels[labelled+"description"],
		Licenses:    &cyclonedx.Licenses{{License: &cyclonedx.License{ID: p.labels[labelled+"licenses"]}}},
		Hashes:      &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: p.digest.Hex}},
		Properties:  settings(p.info),
	}
	if source := p.labels[labelled+"source"]; source != "" {
		image.ExternalReferences = &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeVCS, URL: source}}
	}
	components := []cyclonedx.Component{module("std", p.info.GoVersion, "")}
	for _, m := range p.info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		components = append(components, module(m.Path, m.Version, m.Sum))
	}
	needs := make([]string, len(components))
	for i, c := range components {
		needs[i] = c.BOMRef
	}
	b := cyclonedx.NewBOM()
	b.SerialNumber = ""
	b.Metadata = &cyclonedx.Metadata{Timestamp: p.labels[labelled+"created"], Component: &image}
	b.Components = &components
	b.Dependencies = &[]cyclonedx.Dependency{{Ref: image.BOMRef, Dependencies: &needs}}
	return b
}

// module is a Go module, named by its package URL
// (https://github.com/package-url/purl-spec). Sum is its hash in go.sum, of the
// list of its files and their hashes; "" for the standard library.
func module(path, version, sum string) cyclonedx.Component {
	if path == "std" {
		version = strings.TrimPrefix(version, "go")
	}
	purl := fmt.Sprintf("pkg:golang/%s@%s", path, version)
	c := cyclonedx.Component{BOMRef: purl, PackageURL: purl, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version}
	if encoded, found := strings.CutPrefix(sum, "h1:"); found {
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
		}
	}
	return c
}

// settings are how the program was compiled.
func settings(info *debug.BuildInfo) *[]cyclonedx.Property {
	properties := []cyclonedx.Property{{Name: "go:package", Value: info.Path}}
	for _, s := range info.Settings {
		properties = append(properties, cyclonedx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return &properties
}
