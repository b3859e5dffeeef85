package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"koordinator.io/koordinator/wrapper/network"
)

// programFile returns an executable file with this text.
func programFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// holds fails unless the file at path is a complete copy of text and the only
// file in its directory.
func holds(t *testing.T, path, text string) {
	t.Helper()
	have, err := os.ReadFile(path)
	if err != nil || string(have) != text {
		t.Fatalf("%s holds %q, %v, want %q", path, have, err, text)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o555 {
		t.Errorf("%s has mode %v, %v, want 0555", path, info.Mode(), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the directory of %s contains %v, %v", path, entries, err)
	}
}

func TestAProgramIsCopied(t *testing.T) {
	dir := t.TempDir()
	if err := install(programFile(t, "first"), dir, "tool"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(dir, "tool"), "first")
	if err := install(programFile(t, "and second"), dir, "tool"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(dir, "tool"), "and second")
}

// TestACopyReplacesALink copies over a link. The target of the link must not
// change.
func TestACopyReplacesALink(t *testing.T) {
	dir, other := t.TempDir(), programFile(t, "other")
	if err := os.Symlink(other, filepath.Join(dir, "tool")); err != nil {
		t.Fatal(err)
	}
	if err := install(programFile(t, "new"), dir, "tool"); err != nil {
		t.Fatal(err)
	}
	holds(t, filepath.Join(dir, "tool"), "new")
	if have, err := os.ReadFile(other); err != nil || string(have) != "other" {
		t.Errorf("the link's target holds %q, %v", have, err)
	}
}

func TestACopyThatFailsLeavesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		source func(t *testing.T) string
		want   string
	}{
		"no source":             {func(*testing.T) string { return "/nowhere/program" }, "no such file or directory (mount a writable volume at "},
		"a source without text": {func(t *testing.T) string { return t.TempDir() }, "is a directory (mount a writable volume at "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := install(tt.source(t), dir, "tool")
			if err == nil || !strings.HasPrefix(err.Error(), "install "+dir+"/tool: ") || !strings.Contains(err.Error(), tt.want+dir+")") {
				t.Errorf("have %v", err)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("left %v, %v", entries, err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tool", "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := install(programFile(t, "new"), dir, "tool"); err == nil {
		t.Error("a directory at the target was replaced")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory contains %v, %v", entries, err)
	}
}

// TestCpCopiesUnderTheNamesOfOtherSystems runs cp like the init containers of
// other systems.
func TestCpCopiesUnderTheNamesOfOtherSystems(t *testing.T) {
	self, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ source, target, want string }{
		"kubexit to a directory":       {"/bin/kubexit", "", "kubexit"},
		"kubexit to a file":            {"/bin/kubexit", "kubexit", "kubexit"},
		"proa under another name":      {"proa", "wait", "wait"},
		"koordinator to a directory":   {"/usr/bin/koordinator", "", "koordinator"},
		"a source that does not exist": {"/no/such/dir/kubexit", "", "kubexit"},
		"with a slash behind the dir":  {"/bin/kubexit", "/", "kubexit"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			i := invoke(t, "", "cp", tt.source, dir+"/"+tt.target)
			i.linked = network.Perform // like the program in those images
			if code := i.main(); code != 0 {
				t.Fatalf("code %d: %s", code, i.err.String())
			}
			holds(t, filepath.Join(dir, tt.want), string(self))
		})
	}
}

func TestInstallCopiesProgramsAndPreparesRecords(t *testing.T) {
	for name, tt := range map[string]struct {
		linked  Network
		without bool
		records []string // the arguments after the directory of the records; nil: no directory either
		code    int
		err     string   // part of standard error
		want    []string // in the directory of the programs
		places  []string // in the directory of the records, which at first contains that of an earlier pod
	}{
		"the program that has the network in it":            {network.Perform, false, nil, 0, "", []string{"koordinator"}, []string{"earlier"}},
		"the small one without the network":                 {nil, true, nil, 0, "", []string{"koordinator"}, []string{"earlier"}},
		"the small one without koordinator-net":             {nil, false, []string{"main"}, 1, "koordinator-net: no such file or directory: use --without-network", []string{"koordinator"}, []string{"earlier"}},
		"a place for each record, without the earlier ones": {nil, true, []string{"main", "proxy"}, 0, "", []string{"koordinator"}, []string{"main", "main/spare", "proxy", "proxy/spare"}},
		"no records, without the earlier ones":              {network.Perform, false, []string{}, 0, "", []string{"koordinator"}, nil},
		"a record that has no place":                        {network.Perform, false, []string{"a/b"}, 1, "make the place of a/b's record: ", []string{"koordinator"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bin, records := t.TempDir(), t.TempDir()
			if err := os.Mkdir(filepath.Join(records, "earlier"), 0o700); err != nil {
				t.Fatal(err)
			}
			args := []string{"install"}
			if tt.without {
				args = append(args, "--without-network")
			}
			args = append(args, bin)
			if tt.records != nil {
				args = append(append(args, records), tt.records...)
			}
			i := invoke(t, "", "koordinator", args...)
			i.linked = tt.linked
			if code := i.main(); code != tt.code {
				t.Errorf("code %d, want %d", code, tt.code)
			}
			if have := i.err.String(); !strings.Contains(have, tt.err) || (have == "") != (tt.err == "") {
				t.Errorf("written %q, want %q", have, tt.err)
			}
			if have := i.left(t); !strings.Contains(have, tt.err) || (have == "") != (tt.err == "") {
				t.Errorf("left %q, want %q", have, tt.err)
			}
			if diff := cmp.Diff(tt.want, below(t, bin)); diff != "" {
				t.Errorf("programs (-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(tt.places, below(t, records)); diff != "" {
				t.Errorf("records (-want +have):\n%s", diff)
			}
		})
	}
}

// below lists the content of a directory, with relative paths.
func below(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			all = append(all, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
