package compat

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// content returns a file's content.
func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func open(t *testing.T, dir, name string) *Grave {
	t.Helper()
	g, err := OpenGrave(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// check ends the test with an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestALifeInTheGraveyard(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "shared", "graveyard")
	path := filepath.Join(dir, "app")
	g := open(t, dir, "app")
	if have := content(t, path); have != "{}\n" {
		t.Errorf("waiting: have %q", have)
	}
	check(t, g.Born(born))
	if have := content(t, path); have != "Born: \"2020-05-06T07:08:09.123456789Z\"\n" {
		t.Errorf("born: have %q", have)
	}
	check(t, g.Died(died, 139))
	if have := content(t, path); have != "Born: \"2020-05-06T07:08:09.123456789Z\"\nDied: \"2020-05-06T09:08:10+02:00\"\nExitCode: 139\n" {
		t.Errorf("kx-02 died of a signal: have %q", have)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("have %v, %v: containers with other users cannot read it", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("have %v, %v, want the tombstone alone", left, err)
	}
}

func TestOwn27AContainerThatNeverStartsDiesToo(t *testing.T) {
	dir := t.TempDir()
	g := open(t, dir, "app")
	check(t, g.Died(died, 124))
	if have := content(t, filepath.Join(dir, "app")); have != "Died: \"2020-05-06T09:08:10+02:00\"\nExitCode: 124\n" {
		t.Errorf("own-27 have %q", have)
	}
}

func TestOpenGraveReplacesAnEarlierIncarnation(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string
		want   time.Time
	}{
		{name: "own-08 one that died", before: "Born: \"2020-05-06T07:08:09.123456789Z\"\nDied: \"2020-05-06T09:08:10+02:00\"\nExitCode: 0\n", want: died},
		{name: "own-08 one that was killed together with its wrapper", before: "Born: \"2020-05-06T07:08:09.123456789Z\"\n", want: born},
		{name: "one that cannot be read", before: "Born"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "app")
			write(t, path, tt.before)
			g := open(t, dir, "app")
			if have := g.Since(); !have.Equal(tt.want) {
				t.Errorf("since %v, want %v", have, tt.want)
			}
			if have := content(t, path); have != "{}\n" {
				t.Errorf("have %q", have)
			}
		})
	}
}

func TestAGraveyardThatCannotBeWrittenToShowsAtOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "file"), "")
	check(t, os.MkdirAll(filepath.Join(dir, "taken", "app", "x"), 0o777))
	for _, graveyard := range []string{"file", "file/below", "taken"} {
		t.Run(graveyard, func(t *testing.T) {
			if _, err := OpenGrave(filepath.Join(dir, graveyard), "app"); err == nil {
				t.Error("have no error")
			}
		})
	}
}

// TestAFullGraveyardTakesADeath uses a volume with room for its root and one
// file.
func TestAFullGraveyardTakesADeath(t *testing.T) {
	if !alone(t) {
		return
	}
	dir := t.TempDir()
	check(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=2"))
	g := open(t, dir, "app")
	check(t, g.Born(born))
	check(t, g.Died(died, 0))
	if have := content(t, filepath.Join(dir, "app")); have != "Born: \"2020-05-06T07:08:09.123456789Z\"\nDied: \"2020-05-06T09:08:10+02:00\"\nExitCode: 0\n" {
		t.Errorf("have %q", have)
	}
	check(t, open(t, dir, "app").Born(born))
	if have := content(t, filepath.Join(dir, "app")); have != "Born: \"2020-05-06T07:08:09.123456789Z\"\n" {
		t.Errorf("next incarnation: have %q", have)
	}
	check(t, unix.Unmount(dir, 0))
}

func TestWritingInPlaceFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app")
	write(t, path, "")
	check(t, os.Symlink(path, filepath.Join(dir, "link")))
	if err := overwrite(filepath.Join(dir, "link"), []byte("x")); err == nil || content(t, path) != "" {
		t.Errorf("have %v, %q", err, content(t, path))
	}
}
