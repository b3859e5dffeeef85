package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// modules is the path in a build of the modules that this machine has downloaded.
const modules = "/modules"

// buildah builds in a separate storage. Its builds neither affect nor depend on the storage
// of the user's own buildah.
type buildah struct {
	dir   string // directory for the storage, the Dockerfiles' cache mounts and temporary files
	tools toolchain
	lock  *os.File // held from prepare to close, so that only one build runs at a time
}

// newBuildah creates the directories: $KOORDINATOR_CACHE/buildah, or koordinator/buildah in
// the user's cache directory.
func newBuildah(c *console, tools toolchain) (*buildah, error) {
	cache := os.Getenv("KOORDINATOR_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a cache directory: %w", err)
		}
		cache = filepath.Join(user, "koordinator")
	}
	b := &buildah{dir: filepath.Join(cache, "buildah"), tools: tools}
	for _, dir := range []string{b.temp(), tools.downloads()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	c.env = append(c.env, "TMPDIR="+b.temp()) // buildah also keeps the cache mounts there
	return b, nil
}

func (b *buildah) temp() string { return filepath.Join(b.dir, "tmp") }

// command returns a call of buildah on this storage.
func (b *buildah) command(args ...string) []string {
	return append([]string{
		"buildah", "--storage-driver", "vfs",
		"--root", filepath.Join(b.dir, "storage"), "--runroot", filepath.Join(b.dir, "run"),
	}, args...)
}

// steps returns a build that writes directly into the archive, with this machine's
// toolchain. The build uses this machine's modules as the first proxy, so that no module is
// downloaded twice.
func (b *buildah) steps(i image) [][]string {
	argv := b.command("bud", "--isolation", "chroot", "--pull-never", "--timestamp", i.epoch(), "--identity-label=false",
		"--volume", b.tools.GOROOT+":/usr/local/go:ro",
		"--volume", b.tools.downloads()+":"+modules+":ro",
		"--build-arg", "GOPROXY=file://"+modules+","+b.tools.GOPROXY,
		"--build-arg", "BUILDPLATFORM=linux/"+b.tools.GOHOSTARCH)
	argv = append(argv, i.arguments()...)
	return [][]string{append(argv, "-t", "docker-archive:"+i.archive+":"+i.tag(), ".")}
}

// prepare waits for the lock, then creates the stand-in for the base image unless the
// storage has an up-to-date one.
func (b *buildah) prepare(ctx context.Context, c *console) error {
	if err := b.acquire(ctx, c); err != nil {
		return err
	}
	if want := "go" + base[strings.LastIndex(base, ":")+1:]; b.tools.GOVERSION != want {
		c.say("this machine has %s in the place of the base image's %s: the digests are other ones", b.tools.GOVERSION, want)
	}
	return b.ensureStandIn(ctx, c)
}

// acquire takes the lock, and waits for another build to end.
func (b *buildah) acquire(ctx context.Context, c *console) error {
	lock, err := os.Create(filepath.Join(b.dir, "lock"))
	if err != nil {
		return err
	}
	for waited := false; ; waited = true {
		err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			b.lock = lock
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
		if !waited {
			c.say("wait for another build to end")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// close removes working containers, which exist only after an interrupted build. Without
// the lock, they belong to another build.
func (b *buildah) close(ctx context.Context, c *console) error {
	if b.lock == nil {
		return nil
	}
	defer func() { _ = b.lock.Close() }()
	return c.run(ctx, "clean up", b.command("rm", "--all")...)
}
