package command

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary act as the tool, for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kubectl-koordinator": func() {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts runs the story of each file against the real program. Commands besides
// testscript's own:
//
//	code N COMMAND…    run a command that exits with N; its output is kept for stdout and stderr
//	registry FILE…     start a registry with an image; in the files, HOST becomes its host
//	apiserver DIR      start an API server that has the objects of a directory, for the rest of the story
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code, "apiserver": apiserver, "registry": startRegistry},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("KUBECONFIG", env.WorkDir+"/kubeconfig-that-is-not-there")
			return nil
		},
	})
}
