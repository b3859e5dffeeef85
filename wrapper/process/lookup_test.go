package process

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLookup(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for _, dir := range []string{"a", "b", "dirs/app", "data"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, "app", "#!/bin/sh\nexit 10\n")
	write(t, "a/app", "#!/bin/sh\nexit 11\n")
	write(t, "b/app", "#!/bin/sh\nexit 12\n")
	write(t, "b/only", "#!/bin/sh\nexit 13\n")
	if err := os.WriteFile("data/app", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a, b, dirs, data := root+"/a", root+"/b", root+"/dirs", root+"/data"
	for _, test := range []struct {
		name, command string
		env           []string
		code          int // what it exits with, or why it does not start
	}{
		{"the first in PATH wins", "app", []string{"PATH=" + a + ":" + b}, 11},
		{"a later one is found", "only", []string{"PATH=" + a + ":" + b}, 13},
		{"a directory that is missing is passed over", "app", []string{"PATH=" + root + "/none:" + b}, 12},
		{"a PATH element that is a file is passed over", "app", []string{"PATH=" + root + "/app:" + b}, 12},
		{"a directory of that name is passed over", "app", []string{"PATH=" + dirs + ":" + b}, 12},
		{"a file that is not executable is passed over", "app", []string{"PATH=" + data + ":" + b}, 12},
		{"gort-14 dot is the present directory", "app", []string{"PATH=.:/bin"}, 10},
		{"an empty element is the present directory", "app", []string{"PATH=/bin::" + b}, 10},
		{"a trailing colon is the present directory", "app", []string{"PATH=/bin:"}, 10},
		{"a relative element", "app", []string{"PATH=a"}, 11},
		{"a slash means no lookup", "./app", []string{"PATH=" + b}, 10},
		{"a slash anywhere", "b/app", []string{"PATH=" + a}, 12},
		{"an absolute path", a + "/app", nil, 11},
		{"the first PATH counts", "app", []string{"XPATH=x", "PATH=" + a, "PATH=" + b}, 11},
		{"without PATH the runtime's default", "true", nil, 0},
		{"an empty PATH finds nothing", "true", []string{"PATH="}, 127},
		{"nothing of that name", "app", []string{"PATH=/bin"}, 127},
		{"only a directory of that name", "app", []string{"PATH=" + dirs}, 126},
		{"only a file that is not executable", "app", []string{"PATH=/bin:" + data}, 126},
		{"dot alone is no command", ".", []string{"PATH=" + a}, 126},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Start(Command{Argv: []string{test.command}, Env: test.env})
			switch code := test.code; {
			case code == 126 || code == 127:
				if e, ok := errors.AsType[*StartError](err); !ok || e.Code != code {
					t.Errorf("Start = %v, want exit code %d", err, code)
				}
			case err != nil:
				t.Error(err)
			default:
				if got := await(t, c); got != code {
					t.Errorf("exit code %d, want %d", got, code)
				}
			}
		})
	}
}

func TestDefaultPath(t *testing.T) {
	if got, want := searchPath(nil), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; got != want {
		t.Errorf("default PATH %q, want %q", got, want)
	}
}

// Argv[0] stays as given, while a script learns where it was found.
func TestNameOfTheCommand(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tell"), "#!/bin/sh\necho $0 $1\n")
	a := supervisor(t, "tell", "me")
	a.Env = append(a.Env, "PATH="+dir+"/")
	if out, _ := a.run(t); out != dir+"/tell me\n" {
		t.Errorf("script: %q", out)
	}
	out, _ := supervisor(t, "cat", "/proc/self/cmdline").run(t)
	if out != "cat\x00/proc/self/cmdline\x00" {
		t.Errorf("command line %q", out)
	}
}
