// Command sbom writes the bills of materials of the programs in koordinator's images, as
// CycloneDX JSON (https://cyclonedx.org/specification/overview/):
//
//	go run ./test/sbom [-o bin/sbom] bin/images/wrapper bin/images/webhook
//
// Each argument is an OCI image layout, as test/images writes it. For each platform in the
// layout, sbom creates the file NAME-OS-ARCHITECTURE.cdx.json, using only the information
// that the Go linker left in the programs of the image. So the bill is the same for the same
// image, and can also be created for a pulled image.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("o", "bin/sbom", "write to this `directory`")
	flag.Parse()
	if err := run(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run writes the bills of all layouts.
func run(out string, layouts []string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, dir := range layouts {
		images, err := read(dir)
		if err != nil {
			return fmt.Errorf("read %s: %w", dir, err)
		}
		for _, i := range images {
			at := filepath.Join(out, fmt.Sprintf("%s-%s-%s.cdx.json", filepath.Base(dir), i.os, i.architecture))
			if err := write(at, i); err != nil {
				return fmt.Errorf("write %s: %w", at, err)
			}
		}
	}
	return nil
}
