package command

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/compat"
	"koordinator.io/koordinator/wrapper/lifecycle"
	"koordinator.io/koordinator/wrapper/spec"
)

func TestKubexitsNamesOfThePodCountMore(t *testing.T) {
	getenv := podOf(compat.Kubexit{Pod: "web-0", Namespace: "shop"}, variables(map[string]string{spec.EnvPodName: "x", spec.EnvPodNamespace: "y", "A": "b"}))
	for name, want := range map[string]string{spec.EnvPodName: "web-0", spec.EnvPodNamespace: "shop", "A": "b", "B": ""} {
		if have := getenv(name); have != want {
			t.Errorf("%s is %q, want %q", name, have, want)
		}
	}
	getenv = podOf(compat.Kubexit{}, variables(map[string]string{spec.EnvPodName: "x", spec.EnvPodNamespace: "y"}))
	if getenv(spec.EnvPodName) != "x" || getenv(spec.EnvPodNamespace) != "y" {
		t.Errorf("without kubexit's names: %s/%s", getenv(spec.EnvPodNamespace), getenv(spec.EnvPodName))
	}
}

func TestTombstonesBecomeFacts(t *testing.T) {
	began := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	before, after := began.Add(-time.Second), began.Add(time.Second)
	code := func(n int) *int { return &n }
	died := func(n int) lifecycle.Fact { return lifecycle.Fact{Started: true, Exited: true, Code: n} }
	for name, tt := range map[string]struct {
		birth, death []string
		stones       map[string]compat.Tombstone
		since        time.Time
		want         lifecycle.Facts
	}{
		"no death dependencies":                    {nil, nil, map[string]compat.Tombstone{"a": {Died: after}}, time.Time{}, lifecycle.Facts{}},
		"no tombstone yet":                         {nil, []string{"a"}, nil, time.Time{}, lifecycle.Facts{"a": {}}},
		"born":                                     {nil, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before}}, time.Time{}, lifecycle.Facts{"a": {Started: true}}},
		"died with success":                        {nil, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before, Died: after, ExitCode: code(0)}}, time.Time{}, lifecycle.Facts{"a": died(0)}},
		"died with another code":                   {nil, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before, Died: after, ExitCode: code(7)}}, began, lifecycle.Facts{"a": died(7)}},
		"a success of before counts":               {nil, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before, Died: before, ExitCode: code(0)}}, began, lifecycle.Facts{"a": died(0)}},
		"a failure of before does not":             {nil, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before, Died: before, ExitCode: code(7)}}, began, lifecycle.Facts{"a": {Started: true}}},
		"alive, and a birth dependency":            {[]string{"a"}, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before}}, time.Time{}, lifecycle.Facts{}},
		"dead, and a birth dependency":             {[]string{"a"}, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before, Died: after, ExitCode: code(1)}}, time.Time{}, lifecycle.Facts{"a": died(1)}},
		"each of several, and none of others":      {[]string{"b"}, []string{"a", "b", "c"}, map[string]compat.Tombstone{"a": {Died: after, ExitCode: code(2)}, "d": {Died: after}}, time.Time{}, lifecycle.Facts{"a": died(2), "c": {}}},
		"another birth dependency changes nothing": {[]string{"b"}, []string{"a"}, map[string]compat.Tombstone{"a": {Born: before}}, time.Time{}, lifecycle.Facts{"a": {Started: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec.Default()
			for _, name := range tt.birth {
				s.StartDeps = append(s.StartDeps, spec.Dependency{Container: name, Condition: spec.Ready})
			}
			for _, name := range tt.death {
				s.StopDeps = append(s.StopDeps, spec.Dependency{Container: name, Condition: spec.Exited})
			}
			if diff := cmp.Diff(tt.want, tombstoneFacts(s, tt.stones, tt.since)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if have := (tombstones{kubexit: compat.Kubexit{Spec: s}}).names(); !slices.Equal(have, tt.death) {
				t.Errorf("tombstones of %q are read, want %q", have, tt.death)
			}
		})
	}
}

// TestTombstonesAreWatchedUntilTheEnd lets a container die while its graveyard
// is watched, and does not receive the last change.
func TestTombstonesAreWatchedUntilTheEnd(t *testing.T) {
	dir := t.TempDir()
	s := spec.Default()
	s.StopDeps = []spec.Dependency{{Container: "a", Condition: spec.Exited}}
	stones := tombstones{kubexit: compat.Kubexit{Spec: s, Dir: dir}}
	if diff := cmp.Diff(lifecycle.Facts{"a": {}}, stones.Now()); diff != "" {
		t.Errorf("before (-want +have):\n%s", diff)
	}
	ctx, end := context.WithCancel(t.Context())
	out, over := make(chan lifecycle.Facts), make(chan struct{})
	go func() { defer close(over); stones.Watch(ctx, out) }()
	code, at := 3, time.Now()
	bury := func() {
		text := compat.Tombstone{Born: at, Died: at, ExitCode: &code}.Encode()
		draft := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(draft, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(draft, filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
	}
	bury()
	for end := time.After(time.Minute); ; {
		var have lifecycle.Facts
		select {
		case have = <-out:
		case <-end:
			t.Fatal("the death was never seen")
		}
		if have["a"] == (lifecycle.Fact{Started: true, Exited: true, Code: 3}) {
			break
		}
	}
	code = 4
	bury() // the watch blocks, because the channel is not read
	end()
	select {
	case <-over:
	case <-time.After(time.Minute):
		t.Fatal("still watched")
	}
}
