package release

import (
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
)

// staging is the directory in which Kubernetes keeps the modules that it publishes. Its
// go.mod refers to them by relative paths, which are invalid elsewhere.
const staging = "./staging/src/"

// buildModule turns the go.mod of a module into the go.mod of an otherwise empty module in
// which the commands of the former can be built, with exactly the versions of its release.
// version is the version of the module, with v.
func buildModule(goMod []byte, module, version string) ([]byte, error) {
	file, err := modfile.Parse(module+"/go.mod", goMod, nil)
	if err != nil {
		return nil, err
	}
	if err := file.AddModuleStmt("koordinator.io/koordinator/test/cluster/build"); err != nil {
		return nil, err
	}
	// The machine selects the toolchain; the go directive still sets the minimum version.
	file.DropToolchainStmt()
	for _, replace := range append([]*modfile.Replace(nil), file.Replace...) {
		if !modfile.IsDirectoryPath(replace.New.Path) {
			continue
		}
		path, ok := strings.CutPrefix(replace.New.Path, staging)
		if !ok {
			return nil, fmt.Errorf("%s replaces %s by %s, which is published nowhere", module, replace.Old.Path, replace.New.Path)
		}
		published, err := stagingVersion(version)
		if err != nil {
			return nil, err
		}
		if err := file.AddReplace(replace.Old.Path, replace.Old.Version, path, published); err != nil {
			return nil, err
		}
	}
	if err := file.AddRequire(module, version); err != nil {
		return nil, err
	}
	file.Cleanup()
	return file.Format()
}

// stagingVersion returns the version of the staging modules that Kubernetes publishes:
// v0.36.3 for v1.36.3.
func stagingVersion(version string) (string, error) {
	rest, ok := strings.CutPrefix(version, "v1.")
	if !ok {
		return "", fmt.Errorf("version %s: want v1.MINOR.PATCH for a module with staging modules", version)
	}
	return "v0." + rest, nil
}
