package pod

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// Build builds both programs to dir as their image does, and returns the path of
// koordinator. Root is the module's directory.
func Build(root, dir string) (string, error) {
	build := exec.Command("go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/koordinator", "./cmd/koordinator-net")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the wrapper: %w: %s", err, out)
	}
	return filepath.Join(dir, spec.BinaryName), nil
}
