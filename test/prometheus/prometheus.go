// Package prometheus provides the real Prometheus and promtool for the tests of alerts and
// dashboards. It unpacks Debian's package, so that nothing is installed and no service
// starts.
package prometheus

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// debian is the name of the Debian package.
const debian = "prometheus"

// Programs returns the paths of both programs: those in PATH, or those from a package that
// it downloads into the user's cache. The error describes how to install them.
func Programs(ctx context.Context) (prometheus, promtool string, err error) {
	prometheus, err1 := exec.LookPath("prometheus")
	promtool, err2 := exec.LookPath("promtool")
	if err1 == nil && err2 == nil {
		return prometheus, promtool, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(cache, "koordinator", "prometheus")
	bin := filepath.Join(dir, "usr/bin")
	if _, err := os.Stat(filepath.Join(bin, "promtool")); err != nil {
		if err := unpack(ctx, dir); err != nil {
			return "", "", fmt.Errorf("find prometheus and promtool: %w; install the Debian package %s, or put both programs on the PATH", err, debian)
		}
	}
	return filepath.Join(bin, "prometheus"), filepath.Join(bin, "promtool"), nil
}

// unpack downloads the package and unpacks it into a directory, atomically.
func unpack(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "prometheus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part)
	const script = `apt-get download -q ` + debian + ` || { apt-get update -q && apt-get download -q ` + debian + `; } && dpkg-deb -x ` + debian + `_*.deb root`
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Dir = part
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("download it with apt-get: %w: %s", err, out)
	}
	if err := os.Rename(filepath.Join(part, "root"), dir); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}
