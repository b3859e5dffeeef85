package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// labelled is the prefix of the labels that every image has
// (https://specs.opencontainers.org/image-spec/annotations/).
const labelled = "org.opencontainers.image."

// write writes the bill of one image.
func write(at string, i image) error {
	var text bytes.Buffer
	encoder := cyclonedx.NewBOMEncoder(&text, cyclonedx.BOMFileFormatJSON).SetPretty(true)
	if err := encoder.EncodeVersion(bill(i), cyclonedx.SpecVersion1_6); err != nil {
		return err
	}
	return os.WriteFile(at, text.Bytes(), 0o644)
}

// bill lists the programs of an image, their modules, and the Go version that compiled
// them. It contains neither a serial number nor a creation time, because with them two
// bills of the same image would differ.
func bill(i image) *cyclonedx.BOM {
	whole := cyclonedx.Component{
		BOMRef:      i.digest.String(),
		Type:        cyclonedx.ComponentTypeContainer,
		Name:        i.labels[labelled+"title"],
		Version:     i.labels[labelled+"version"],
		Description: i.labels[labelled+"description"],
		Licenses:    &cyclonedx.Licenses{{License: &cyclonedx.License{ID: i.labels[labelled+"licenses"]}}},
		Hashes:      &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: i.digest.Hex}},
	}
	if source := i.labels[labelled+"source"]; source != "" {
		whole.ExternalReferences = &[]cyclonedx.ExternalReference{{Type: cyclonedx.ERTypeVCS, URL: source}}
	}
	var programs, modules []cyclonedx.Component
	var names []string
	var needs []cyclonedx.Dependency
	for _, info := range i.programs {
		program := cyclonedx.Component{
			BOMRef: info.Path, Type: cyclonedx.ComponentTypeApplication, Name: info.Path, Version: whole.Version, Properties: settings(info),
		}
		used := modulesOf(info)
		programs, modules = append(programs, program), append(modules, used...)
		names = append(names, program.BOMRef)
		needs = append(needs, cyclonedx.Dependency{Ref: program.BOMRef, Dependencies: refs(used)})
	}
	slices.SortFunc(modules, func(a, b cyclonedx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	modules = slices.CompactFunc(modules, func(a, b cyclonedx.Component) bool { return a.BOMRef == b.BOMRef })
	components := slices.Concat(programs, modules)
	needs = append([]cyclonedx.Dependency{{Ref: whole.BOMRef, Dependencies: &names}}, needs...)
	b := cyclonedx.NewBOM()
	b.SerialNumber = ""
	b.Metadata = &cyclonedx.Metadata{Timestamp: i.labels[labelled+"created"], Component: &whole}
	b.Components = &components
	b.Dependencies = &needs
	return b
}

// modulesOf returns the components for the modules in a program, the standard library
// first.
func modulesOf(info *debug.BuildInfo) []cyclonedx.Component {
	modules := []cyclonedx.Component{module("std", info.GoVersion, "")}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		modules = append(modules, module(m.Path, m.Version, m.Sum))
	}
	return modules
}

// refs returns the names by which a bill refers to components.
func refs(components []cyclonedx.Component) *[]string {
	list := make([]string, len(components))
	for i, c := range components {
		list[i] = c.BOMRef
	}
	return &list
}

// module returns the component for a Go module, named by its package URL
// (https://github.com/package-url/purl-spec). sum is the module's hash in go.sum, which
// covers the list of its files and their hashes; "" for the standard library.
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

// settings returns the build settings of the program.
func settings(info *debug.BuildInfo) *[]cyclonedx.Property {
	var properties []cyclonedx.Property
	for _, s := range info.Settings {
		properties = append(properties, cyclonedx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	return &properties
}
