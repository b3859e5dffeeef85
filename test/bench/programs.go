package main

import (
	_ "embed" // for the source of the part
	"os"
	"path/filepath"
)

//go:embed part/part.c
var partSource []byte

// buildPart compiles the commands at both ends of a measurement, which part/part.c
// describes, and checks that the program runs.
func buildPart(dir string) (string, error) {
	source, path := filepath.Join(dir, "part.c"), filepath.Join(dir, "part")
	if err := os.WriteFile(source, partSource, 0o644); err != nil {
		return "", err
	}
	if err := command("gcc", "-Os", "-s", "-static", "-nostdlib", "-ffreestanding", "-o", path, source); err != nil {
		return "", err
	}
	return path, command(path)
}

// emptyGo builds a Go program that does nothing. Its start time is the minimum for Go programs.
func emptyGo(dir string) (string, error) {
	source := filepath.Join(dir, "empty.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "empty")
	return path, command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, source)
}
