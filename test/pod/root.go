package pod

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// own lists the top-level directories that a container does not take from the host.
var own = []string{"dev", "koordinator", "proc", "run", "sys"}

// devices lists the files in a container's /dev.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty", "ptmx"}

// mount creates the container's root file system and enters it. Only this mount namespace
// sees the mounts, and they end with it.
func (s setup) mount() error {
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return os.NewSyscallError("make mounts private", err)
	}
	if err := unix.Mount("tmpfs", s.Root, "tmpfs", 0, "mode=755"); err != nil {
		return os.NewSyscallError("mount root", err)
	}
	steps := []func() error{s.image, s.devices, s.volumes, s.proc, s.seal, s.enter}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// image fills the root with the host's files, or with single files.
func (s setup) image() error {
	for in, file := range s.Files {
		if err := s.bind(file, in, unix.MS_RDONLY); err != nil {
			return err
		}
	}
	if s.Scratch {
		return nil
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(own, e.Name()) {
			continue
		}
		if err := s.hostEntry(e); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(s.Root, "run"), 0o755)
}

// hostEntry mounts one entry of the host's root into the container's.
func (s setup) hostEntry(e fs.DirEntry) error {
	host := "/" + e.Name()
	if e.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(host)
		if err != nil {
			return err
		}
		return os.Symlink(target, filepath.Join(s.Root, e.Name()))
	}
	return s.bind(host, host, 0)
}

// devices creates /dev.
func (s setup) devices() error {
	for _, name := range devices {
		if err := s.bind("/dev/"+name, "/dev/"+name, 0); err != nil {
			return err
		}
	}
	return s.bind("/dev/pts", "/dev/pts", 0)
}

// volumes mounts the same volumes as the webhook.
func (s setup) volumes() error {
	if s.Access != "" {
		// In the image, /var/run may be a link to /run.
		at := spec.APIAccess
		if !s.Scratch {
			at = filepath.Join("/run", filepath.Base(filepath.Dir(filepath.Dir(at))), filepath.Base(filepath.Dir(at)), filepath.Base(at))
		}
		if err := s.bind(s.Access, at, unix.MS_RDONLY); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		from, to string
		flags    uintptr
	}{
		{s.Bin, spec.BinDir, unix.MS_RDONLY},
		{s.Record, spec.RecordDir, 0},
		{s.Peers, spec.PeersDir, unix.MS_RDONLY},
		{s.Message, spec.Message, 0},
	} {
		if err := s.bind(v.from, v.to, v.flags); err != nil {
			return err
		}
	}
	return nil
}

// bind mounts a host file or directory into the container. The only supported flag is MS_RDONLY.
func (s setup) bind(from, to string, flags uintptr) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	target := filepath.Join(s.Root, to)
	if err := point(target, info.IsDir()); err != nil {
		return err
	}
	if err := unix.Mount(from, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	if flags == 0 {
		return nil
	}
	if err := unix.Mount("none", target, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", to, err)
	}
	return nil
}

// point creates a mount point.
func point(at string, dir bool) error {
	if dir {
		return os.MkdirAll(at, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func (s setup) proc() error {
	target := filepath.Join(s.Root, "proc")
	if err := os.Mkdir(target, 0o755); err != nil {
		return err
	}
	return os.NewSyscallError("mount /proc", unix.Mount("proc", target, "proc", 0, ""))
}

// seal makes the root read-only if the container requires it.
func (s setup) seal() error {
	if !s.ReadOnly {
		return nil
	}
	return os.NewSyscallError("make root read-only", unix.Mount("none", s.Root, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
}

// enter makes the container's root the root (pivot_root(2), "pivot_root(".", ".")"), so
// that nothing of the host is left.
func (s setup) enter() error {
	if err := os.Chdir(s.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return os.NewSyscallError("pivot_root", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return os.NewSyscallError("leave the host's root", err)
	}
	return os.Chdir("/")
}
