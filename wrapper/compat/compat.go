// Package compat runs pods made for other systems on this wrapper without
// changes: it recognizes how kubexit and proa are called, turns their
// configuration into a spec, and maintains kubexit's tombstones.
//
//   - kubexit (github.com/karlkfi/kubexit) is configured by environment
//     variables; its containers report their birth and death to each other in
//     files in a shared directory, the graveyard.
//   - proa (github.com/IronCoreLabs/proa) is configured by its command line; it
//     waits for all other containers of its pod, and stops them after its
//     command.
//
// Both leave their variables in the command's environment, and so does this
// package: an application may read KUBEXIT_POD_NAME, and a command may be a
// shell that calls kubexit again.
package compat

import (
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// Names by which other systems' manifests call koordinator's binary: the base
// name of argv[0].
const (
	KubexitName = "kubexit"
	ProaName    = "proa"
)

// IsKubexit reports whether this invocation is kubexit's: by its name, or by
// KUBEXIT_NAME unless there is a koordinator spec. A wrapped container may call
// kubexit itself: the outer invocation has a spec, the inner one the name.
func IsKubexit(argv0 string, getenv func(string) string) bool {
	if filepath.Base(argv0) == KubexitName {
		return true
	}
	return getenv(envName) != "" && getenv(spec.Env) == "" && getenv(spec.EnvMisspelt) == ""
}

// IsProa reports whether this invocation is proa's.
func IsProa(argv0 string) bool { return filepath.Base(argv0) == ProaName }

// versionOnly reports whether the arguments only request the version.
func versionOnly(args []string) bool {
	return len(args) == 1 && (args[0] == "-version" || args[0] == "--version")
}
