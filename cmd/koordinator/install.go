package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// install copies the binary at source to dir/koordinator, mode 0555. The copy
// appears there complete or not at all, also in place of one that is running.
func install(source, dir string) error {
	target := filepath.Join(dir, spec.BinaryName)
	if err := copyTo(source, dir, target); err != nil {
		return fmt.Errorf("install %s: %w (mount a writable volume at %s)", target, err, dir)
	}
	return nil
}

func copyTo(source, dir, target string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, ".koordinator-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // nothing is left there once it was renamed
	if err := fill(out, in); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}

// fill writes, seals and closes the copy: it may be executed only when no
// descriptor can write to it any more.
func fill(out *os.File, in io.Reader) error {
	_, err := io.Copy(out, in)
	if err == nil {
		err = out.Chmod(0o555)
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
