// Command diagrams draws the pictures of the documentation from the sources: the
// samples, the wrapper's own state machine on a virtual clock, and the imports of the
// packages. Run it from the repository's root:
//
//	go run ./test/diagrams docs/pictures
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/cli/picture"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: diagrams DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// pictures holds the pictures by file name.
var pictures = map[string]func() (*picture.Picture, error){
	"injection.svg": injection,
	"start.svg":     start,
	"stop.svg":      stop,
	"packages.svg":  packages,
}

// write draws every picture into a directory.
func write(dir string) error {
	for name, draw := range pictures {
		p, err := draw()
		if err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(p.SVG()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
