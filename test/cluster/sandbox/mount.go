// Package sandbox provides the environment in which the parts of a cluster run: one cgroup
// in every hierarchy, and a network namespace and a mount namespace for each node. The cgroup makes it
// possible to remove a crashed cluster, because no process can leave it. The namespaces
// isolate network and mounts from the host.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of /proc/thread-self/mountinfo, see proc_pid_mountinfo(5).
type mount struct {
	point, fstype string
}

// mounts lists the mounts that the calling thread sees, in the order in which they were made.
func mounts() ([]mount, error) {
	raw, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(raw))
}

// parseMounts parses the contents of a mountinfo file.
func parseMounts(raw string) ([]mount, error) {
	var found []mount
	for line := range strings.Lines(raw) {
		left, right, ok := strings.Cut(strings.TrimSpace(line), " - ")
		before, after := strings.Fields(left), strings.Fields(right)
		if !ok || len(before) < 5 || len(after) < 1 {
			return nil, fmt.Errorf("read mountinfo: line %q has too few fields", line)
		}
		found = append(found, mount{point: unescape(before[4]), fstype: after[0]})
	}
	return found, nil
}

// unescape undoes the octal escapes that the kernel uses for blank, tab, newline and backslash.
func unescape(point string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(point)
}

// below returns the mount points at or below one of dirs, innermost and latest first.
func below(all []mount, dirs ...string) []string {
	var points []string
	for _, m := range all {
		if slices.ContainsFunc(dirs, func(dir string) bool { return m.point == dir || strings.HasPrefix(m.point, dir+"/") }) {
			points = append(points, m.point)
		}
	}
	slices.Reverse(points)
	return points
}

// Mounts returns the mount points at or below dirs that are visible to the calling thread.
func Mounts(dirs ...string) ([]string, error) {
	all, err := mounts()
	if err != nil {
		return nil, err
	}
	return below(all, dirs...), nil
}

// Unmount removes every mount at or below dirs. An error means that some mounts remain, and
// that removing the directories would also remove files in these mounts.
func Unmount(dirs ...string) error {
	points, err := Mounts(dirs...)
	if err != nil {
		return err
	}
	for _, point := range points {
		// The unmount is lazy, so that a process that still uses the mount does not block
		// it. The kernel releases the file system when the last user has finished. EINVAL
		// means that somebody else has removed the mount.
		if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmount %s: %w", point, err)
		}
	}
	left, err := Mounts(dirs...)
	left = slices.DeleteFunc(left, func(point string) bool { return !slices.Contains(points, point) }) // new ones of other clusters
	if err == nil && len(left) > 0 {
		return fmt.Errorf("unmount %s: still mounted", strings.Join(left, ", "))
	}
	return err
}

// bind makes the directory from appear at the directory to. It creates missing directories.
func bind(from, to string) error {
	for _, dir := range []string{from, to} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, filepath.Clean(to), err)
	}
	return nil
}
