package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// kernelPackage depends on Debian's current kernel.
const kernelPackage = "linux-image-cloud-arm64"

// programPackages contain the programs that tests call. apt adds the packages on which they
// depend.
var programPackages = []string{"bash", "bsdutils", "busybox-static", "coreutils", "dash", "grep", "procps", "sed", "usr-is-merged", "util-linux"}

// download returns the paths of the kernel, and of the directory with the files of the
// program packages. It downloads them once.
func download(ctx context.Context, cache string) (kernel, programs string, err error) {
	programs = filepath.Join(cache, "programs")
	boot := filepath.Join(cache, "kernel")
	if kernel, err = found(boot); err == nil {
		return kernel, programs, nil
	}
	apt, err := newArchive(cache)
	if err != nil {
		return "", "", err
	}
	if err := apt.get(ctx, "update", "-q"); err != nil {
		return "", "", err
	}
	if err := apt.get(ctx, append([]string{"install", "-q", "-y", "--no-install-recommends", "--download-only"}, programPackages...)...); err != nil {
		return "", "", err
	}
	if err := apt.extract(ctx, apt.downloads(), programs); err != nil {
		return "", "", err
	}
	current, err := apt.dependency(ctx, kernelPackage, "linux-image-")
	if err != nil {
		return "", "", err
	}
	if err := apt.get(ctx, "download", "-q", current); err != nil {
		return "", "", err
	}
	if err := apt.extract(ctx, cache, boot); err != nil {
		return "", "", err
	}
	kernel, err = found(boot)
	return kernel, programs, err
}

// found returns the path of the kernel, if it was downloaded before.
func found(boot string) (string, error) {
	kernels, err := filepath.Glob(filepath.Join(boot, "boot", "vmlinuz-*"))
	if err == nil && len(kernels) == 0 {
		err = fmt.Errorf("%s contains no kernel", boot)
	}
	if err != nil {
		return "", err
	}
	return kernels[len(kernels)-1], nil
}

// archive is Debian's archive for arm64, with apt's files in a directory of its own, so that
// the machine's own packages are not affected.
type archive struct {
	dir     string
	options []string
}

// newArchive creates the directories that apt needs.
func newArchive(dir string) (archive, error) {
	state, cache := filepath.Join(dir, "apt", "state"), filepath.Join(dir, "apt", "cache")
	for _, partial := range []string{filepath.Join(state, "lists", "partial"), filepath.Join(cache, "archives", "partial")} {
		if err := os.MkdirAll(partial, 0o755); err != nil {
			return archive{}, err
		}
	}
	status := filepath.Join(state, "status")
	if err := os.WriteFile(status, nil, 0o644); err != nil {
		return archive{}, err
	}
	return archive{dir: dir, options: []string{
		"-o", "APT::Architecture=arm64", "-o", "APT::Architectures=arm64", "-o", "APT::Sandbox::User=root",
		"-o", "Dir::State=" + state, "-o", "Dir::State::status=" + status, "-o", "Dir::Cache=" + cache,
	}}, nil
}

// downloads returns the directory of the packages that apt-get install downloads.
func (a archive) downloads() string { return filepath.Join(a.dir, "apt", "cache", "archives") }

// extract unpacks all packages in a directory, and removes them.
func (a archive) extract(ctx context.Context, from, to string) error {
	packages, err := filepath.Glob(filepath.Join(from, "*.deb"))
	if err != nil {
		return err
	}
	for _, name := range packages {
		if err := command(ctx, a.dir, "dpkg-deb", "-x", name, to); err != nil {
			return err
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// get runs apt-get.
func (a archive) get(ctx context.Context, args ...string) error {
	return command(ctx, a.dir, "apt-get", append(a.options, args...)...)
}

// dependency returns the package with this prefix on which a package depends.
func (a archive) dependency(ctx context.Context, name, prefix string) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-cache", append(a.options, "depends", name)...).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends %s: %w", name, err)
	}
	for line := range strings.Lines(string(out)) {
		if _, on, found := strings.Cut(strings.TrimSpace(line), "Depends: "); found && strings.HasPrefix(on, prefix) {
			return on, nil
		}
	}
	return "", fmt.Errorf("%s depends on no %s*", name, prefix)
}
