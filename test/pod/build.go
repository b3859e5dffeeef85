package pod

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// Build builds both programs into dir with the same flags as their image, and returns the
// path of koordinator. root is the module's directory.
func Build(root, dir string) (string, error) {
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/koordinator", "./cmd/koordinator-net")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the wrapper: %w: %s", err, out)
	}
	return filepath.Join(dir, spec.BinaryName), nil
}
