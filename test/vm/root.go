package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/test/pod"
)

// testProgram is the name of a package's test program.
const testProgram = "vm.test"

// programs is the directory of the wrapper in the machine.
const programs = "/programs"

// source is the directory of the repository's files in the machine. Each tested package has
// its test program in its directory.
const source = "/src"

// fill creates the file system of the machine: the guest program as init, the programs of
// Debian, the wrapper, and the repository with its tests.
func fill(ctx context.Context, root, debian string, packages []string) error {
	if err := command(ctx, "", "cp", "-a", debian, root); err != nil {
		return err
	}
	for _, dir := range []string{"dev", "proc", "root", "run", "sys", "tmp", "etc", programs, source} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.Symlink("dash", filepath.Join(root, "bin", "sh")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	users := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
	if err := os.WriteFile(filepath.Join(root, "etc", "passwd"), []byte(users), 0o644); err != nil {
		return err
	}
	if err := command(ctx, "", "go", "build", "-o", filepath.Join(root, "init"), "./test/vm/guest"); err != nil {
		return err
	}
	if _, err := pod.Build(".", filepath.Join(root, programs)); err != nil {
		return err
	}
	if err := copySource(ctx, filepath.Join(root, source)); err != nil {
		return err
	}
	return compile(ctx, filepath.Join(root, source), packages)
}

// copySource copies the files of the repository, because tests read some of them.
func copySource(ctx context.Context, to string) error {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, but not yet from the index
		}
		if err == nil {
			err = copyFile(name, target, info.Mode())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compile builds the tests of packages into the packages' directories below root.
func compile(ctx context.Context, root string, packages []string) error {
	list := exec.CommandContext(ctx, "go", append([]string{"list", "-f", "{{.ImportPath}} {{.Module.Path}}"}, packages...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		name, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		target := filepath.Join(root, strings.TrimPrefix(name, module), testProgram)
		if err := command(ctx, "", "go", "test", "-c", "-tags", "vm", "-o", target, name); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a file.
func copyFile(from, to string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, mode)
}

// writeArchive writes the files below root to a compressed archive in the format of an
// initramfs (Documentation/driver-api/early-userspace/buffer-format.rst of Linux).
func writeArchive(root, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	compressed, err := gzip.NewWriterLevel(file, gzip.BestSpeed)
	if err != nil {
		return err
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		mode, data, err := content(path, info.Mode())
		if err != nil {
			return err
		}
		return writeEntry(compressed, name, mode, data)
	})
	if err != nil {
		return err
	}
	if err := writeEntry(compressed, "TRAILER!!!", 0, nil); err != nil {
		return err
	}
	return errors.Join(compressed.Close(), file.Close())
}

// content returns the mode of a file as in stat(2), and its data: for a link, the target.
func content(path string, mode fs.FileMode) (int, []byte, error) {
	permissions := int(mode.Perm())
	switch {
	case mode.IsRegular():
		data, err := os.ReadFile(path)
		return unix.S_IFREG | permissions, data, err
	case mode.IsDir():
		return unix.S_IFDIR | permissions, nil, nil
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return unix.S_IFLNK | permissions, []byte(target), err
	}
	return 0, nil, fmt.Errorf("%s: unexpected type of file %s", path, mode.Type())
}

// writeEntry writes one file of an archive, padded to multiples of four bytes.
func writeEntry(to io.Writer, name string, mode int, data []byte) error {
	pad := func(n int) string { return strings.Repeat("\x00", (4-n%4)%4) }
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00", 0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	_, err := io.WriteString(to, header+pad(len(header)))
	if err == nil {
		_, err = to.Write(append(data, pad(len(data))...))
	}
	return err
}
