package pod

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Build builds the wrapper to dir/koordinator as its image does, and returns
// the file's path. Root is the module's directory.
func Build(root, dir string) (string, error) {
	path := filepath.Join(dir, "koordinator")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", path, "./cmd/koordinator")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the wrapper: %w: %s", err, out)
	}
	return path, nil
}
