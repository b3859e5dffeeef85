package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/compat"
	"koordinator.io/koordinator/wrapper/spec"
)

// install copies the program at source to dir under a name, with mode 0555. The
// copy appears complete or not at all, and can replace a running program.
func install(source, dir, name string) error {
	target := filepath.Join(dir, name)
	if err := copyTo(source, dir, target); err != nil {
		return fmt.Errorf("install %s: %w (mount a writable volume at %s)", target, err, dir)
	}
	return nil
}

// installNetwork copies the network program to dir.
func (c command) installNetwork(dir string) error {
	if _, err := os.Stat(c.networkPath()); err != nil {
		return fmt.Errorf("install: %w: use %s to install without it, or install from koordinator's image", err, spec.WithoutNetwork)
	}
	return install(c.networkPath(), dir, spec.NetworkName)
}

// copy implements "cp SOURCE TARGET" for the images of other systems, whose
// init containers copy their program out of an image that koordinator's now
// replaces. A single file has to do everything there under their names: the
// program with the network linked in.
func (c command) copy() int {
	if len(c.args) != 2 {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("cp wants a source and a target, have %q", c.args))
	}
	source, target := c.args[0], c.args[1]
	name := filepath.Base(source)
	if name != compat.KubexitName && name != compat.ProaName && name != spec.BinaryName {
		return c.fail(spec.ExitBadConfig, fmt.Sprintf("cp copies %s, %s or %s, have %q", spec.BinaryName, compat.KubexitName, compat.ProaName, source))
	}
	if info, err := os.Stat(target); err == nil && info.IsDir() {
		target = filepath.Join(target, name)
	}
	if err := copyTo(c.networkPath(), filepath.Dir(target), target); err != nil {
		return c.fail(1, fmt.Sprintf("cp %s: %v (mount a writable volume at %s)", target, err, filepath.Dir(target)))
	}
	return 0
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
	defer os.Remove(out.Name()) // does nothing after the rename
	if err := fill(out, in); err != nil {
		return err
	}
	return os.Rename(out.Name(), target)
}

// fill writes, seals and closes the copy: it can be executed only after no
// descriptor can write to it any longer.
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
