// Package compat lets pods made for other systems run on this wrapper
// unchanged: it recognises how kubexit and proa are called, turns their
// configuration into a spec, and keeps kubexit's tombstones.
//
//   - kubexit (github.com/karlkfi/kubexit) is configured by environment
//     variables; its containers tell each other of birth and death by files in
//     a shared directory, the graveyard.
//   - proa (github.com/IronCoreLabs/proa) is configured by its command line; it
//     waits for all other containers of its pod, and ends them after its
//     command.
//
// Both leave their variables in the command's environment, and so do we: an app
// may read KUBEXIT_POD_NAME, and a command may be a shell that calls kubexit
// again.
package compat

import (
	"path/filepath"

	"koordinator.io/koordinator/wrapper/spec"
)

// Names by which other systems' manifests call our binary, as base names of
// argv[0].
const (
	KubexitName = "kubexit"
	ProaName    = "proa"
)

// IsKubexit tells whether this invocation is kubexit's: by its name, or by
// KUBEXIT_NAME where no spec of our own says otherwise. A wrapped container may
// call kubexit itself: the outer one has a spec, the inner one the name.
func IsKubexit(argv0 string, getenv func(string) string) bool {
	if filepath.Base(argv0) == KubexitName {
		return true
	}
	return getenv(envName) != "" && getenv(spec.Env) == "" && getenv(spec.EnvMisspelt) == ""
}

// IsProa tells whether this invocation is proa's.
func IsProa(argv0 string) bool { return filepath.Base(argv0) == ProaName }

// versionOnly tells whether all that is asked for is a version.
func versionOnly(args []string) bool {
	return len(args) == 1 && (args[0] == "-version" || args[0] == "--version")
}
