package release

import (
	"fmt"
	"strings"

	"golang.org/x/mod/modfile"
)

// staging is where Kubernetes keeps the modules that it publishes: its go.mod points to them by relative paths, which mean nothing elsewhere.
const staging = "./staging/src/"

// buildModule turns the go.mod of a module into that of an otherwise empty module in which the first one's commands can be built, with the
// very versions that it was released with. version is the module's, with its v.
func buildModule(goMod []byte, module, version string) ([]byte, error) {
	file, err := modfile.Parse(module+"/go.mod", goMod, nil)
	if err != nil {
		return nil, err
	}
	if err := file.AddModuleStmt("koordinator.io/koordinator/test/cluster/build"); err != nil {
		return nil, err
	}
	// Which toolchain builds is the machine's to say; the go directive still says how old it may be.
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

// stagingVersion is under what version Kubernetes publishes its staging modules: v0.36.3 for v1.36.3.
func stagingVersion(version string) (string, error) {
	rest, ok := strings.CutPrefix(version, "v1.")
	if !ok {
		return "", fmt.Errorf("version %s: want v1.MINOR.PATCH for a module with staging modules", version)
	}
	return "v0." + rest, nil
}
