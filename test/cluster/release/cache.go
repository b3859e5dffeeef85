package release

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"koordinator.io/koordinator/test/cluster/lock"
)

// Programs holds the programs that a cluster needs.
type Programs struct {
	// Kubernetes is the version, without v.
	Kubernetes string
	// Bin is the directory with all built programs.
	Bin string
	// Pause is the program for the sandbox image.
	Pause string
}

// Path returns the built program called name.
func (p Programs) Path(name string) string { return filepath.Join(p.Bin, name) }

// Versions describes the versions of the programs for users.
func (p Programs) Versions() string {
	return fmt.Sprintf("kubernetes v%s, containerd %s, helm %s", p.Kubernetes, containerd, helm)
}

// Ensure returns the programs for a Kubernetes version (without v), and builds those that
// are not yet in the directory cache. pauseSource is the source of a program of one file.
// Ensure writes messages about builds to progress. Two concurrent callers build only once.
func Ensure(ctx context.Context, cache, kubernetes string, pauseSource []byte, progress io.Writer) (Programs, error) {
	wanted, err := bundles(kubernetes)
	if err != nil {
		return Programs{}, err
	}
	pauseDir := filepath.Join(cache, fmt.Sprintf("pause-%x", sha256.Sum256(pauseSource))[:len("pause-")+12])
	bin := filepath.Join(cache, "bin-kubernetes-v"+kubernetes+"-containerd-"+containerd+"-helm-"+helm)
	programs := Programs{Kubernetes: kubernetes, Bin: bin, Pause: filepath.Join(pauseDir, "pause")}
	if isDir(pauseDir) && isDir(bin) {
		return programs, nil // without the lock, because a build of another version may hold it for minutes
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Programs{}, err
	}
	unlock, err := lock.Acquire(ctx, filepath.Join(cache, "lock"), "another build", progress)
	if err != nil {
		return Programs{}, err
	}
	defer unlock()
	for _, b := range wanted {
		err := once(filepath.Join(cache, b.folder()), func(dir string) error { return b.buildLogged(ctx, cache, dir, progress) })
		if err != nil {
			return Programs{}, err
		}
	}
	if err := once(pauseDir, func(dir string) error { return buildPause(ctx, dir, pauseSource, progress) }); err != nil {
		return Programs{}, err
	}
	return programs, once(bin, func(dir string) error { return gather(dir, wanted) })
}

// buildLogged builds b into dir, and writes go's output to a file next to it.
func (b bundle) buildLogged(ctx context.Context, cache, dir string, progress io.Writer) error {
	log, err := os.Create(filepath.Join(cache, b.folder()+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if err := b.build(ctx, dir, log, progress); err != nil {
		return fmt.Errorf("%w\nall of it: %s", err, log.Name())
	}
	return nil
}

// buildPause builds a program of one source file into dir.
func buildPause(ctx context.Context, dir string, source []byte, progress io.Writer) error {
	work, err := os.MkdirTemp("", "koordinator-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.WriteFile(filepath.Join(work, "go.mod"), []byte("module pause\n\ngo 1.26.0\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "main.go"), source, 0o644); err != nil {
		return err
	}
	return compile(ctx, work, []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir + "/"}, "pause", io.Discard, progress)
}

// gather links the programs of all bundles into one directory, so that one entry in PATH is enough.
func gather(dir string, wanted []bundle) error {
	for _, b := range wanted {
		for _, command := range b.commands {
			name := filepath.Base(command)
			// The links are relative, so that the cache as a whole can be moved.
			if err := os.Symlink(filepath.Join("..", b.folder(), name), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// once calls fill for the directory dir if it is missing. The directory appears completely
// or not at all.
func once(dir string, fill func(dir string) error) error {
	if isDir(dir) {
		return nil
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(dir), ".unfinished-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(unfinished)
	if err := os.Chmod(unfinished, 0o755); err != nil {
		return err
	}
	if err := fill(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

// isDir reports whether dir is an existing directory.
func isDir(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}
