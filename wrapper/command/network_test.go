package command

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/network"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestTheNetworkProgramIsBesideTheWrapper(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if have, want := (command{}).networkPath(), filepath.Join(filepath.Dir(own), spec.NetworkName); have != want {
		t.Errorf("have %s, want %s", have, want)
	}
	if have := (command{linked: network.Perform}).networkPath(); have != self {
		t.Errorf("a program with the network in it runs %s, want itself", have)
	}
}

// TestTheNetworkProgramDoesNotInheritFromTheContainer checks that it inherits
// neither the environment, which may contain proxies, nor the directory, which
// may be removed.
func TestTheNetworkProgramDoesNotInheritFromTheContainer(t *testing.T) {
	c := networkCommand("/bin/koordinator-net", spec.WatchTask, nil)
	if diff := cmp.Diff([]string{spec.NetworkName, spec.WatchTask}, c.Argv); diff != "" {
		t.Errorf("arguments (-want +have):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"GOMAXPROCS=1"}, c.Env); diff != "" {
		t.Errorf("environment (-want +have):\n%s", diff)
	}
	if c.Path != "/bin/koordinator-net" || c.Dir != "/" {
		t.Errorf("runs %s in %s", c.Path, c.Dir)
	}
}

// TestTheNetworkProgramsEndIsReported runs a program that does not exist, and one that
// rejects its input.
func TestTheNetworkProgramsEndIsReported(t *testing.T) {
	never := func(line []byte) error { t.Errorf("printed %s", line); return nil }
	if err := (command{}).network(t.Context(), spec.RequestTask, nil, never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("have %v, want that there is no such program", err)
	}
	linked := command{linked: network.Perform}
	if err := linked.network(t.Context(), "other", nil, never); err == nil || err.Error() != "koordinator-net: exit code 1" {
		t.Errorf("have %v, want exit code 1", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := linked.network(ended, spec.WatchTask, []byte("{}"), never); !errors.Is(err, context.Canceled) {
		t.Errorf("have %v, want the end", err)
	}
}
