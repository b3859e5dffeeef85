package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
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
		code          int // the exit code, or the code for not starting
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

func TestA12ARelativeNameIsFoundFromTheCommandsDirectory(t *testing.T) {
	work := t.TempDir()
	if err := os.MkdirAll(filepath.Join(work, "tools"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(work, "tools", "app"), "#!/bin/sh\nexit 14\n")
	t.Chdir(t.TempDir())
	for _, test := range []struct{ name, command, path string }{
		{"below a relative element of PATH", "app", "PATH=tools"},
		{"a path", "./tools/app", "PATH=/bin"},
		{"in the directory itself", "app", "PATH=:/bin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := work
			if test.command == "app" && test.path == "PATH=:/bin" {
				dir = filepath.Join(work, "tools")
			}
			c, err := Start(Command{Argv: []string{test.command}, Env: []string{test.path}, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if got := await(t, c); got != 14 {
				t.Errorf("exit code %d, want 14", got)
			}
			if code, err := Run(t.Context(), Command{Argv: []string{test.command}, Env: []string{test.path}, Dir: dir}); err != nil || code != 14 {
				t.Errorf("Run: %d, %v, want 14", code, err)
			}
		})
	}
}

func TestLeaveDir(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if left := LeaveDir(); left != dir {
		t.Errorf("left %q, want %q", left, dir)
	}
	if now, err := os.Getwd(); err != nil || now != "/" {
		t.Errorf("now in %q, %v, want /", now, err)
	}
	gone := filepath.Join(dir, "gone")
	if err := errors.Join(os.Mkdir(gone, 0o755), os.Chdir(gone), os.Remove(gone)); err != nil { //nolint:usetesting // the directory is removed
		t.Fatal(err)
	}
	if left := LeaveDir(); left != "" {
		t.Errorf("left a directory that is gone for %q", left)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		code, err := Run(ctx, Command{Argv: []string{"sh", "-c", "sleep 3600 & wait"}, Env: os.Environ()})
		if err != nil {
			t.Error(err)
		}
		ended <- code
	}()
	cancel()
	if code := <-ended; code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

func TestB15OutputIsTheLastLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"printf one":                      "one",
		"echo one; echo two >&2; echo":    "two",
		"yes | head -c 1000000; echo so":  "so",
		"echo begun; sleep 3600 & exit 1": "begun", // the remaining process keeps the pipe open
	} {
		o, err := NewOutput()
		if err != nil {
			t.Fatal(err)
		}
		c, err := Start(Command{Argv: []string{"sh", "-c", text}, Env: os.Environ(), Output: o})
		o.Started()
		if err != nil {
			t.Fatal(err)
		}
		await(t, c)
		if have := o.LastLine(); have != want {
			t.Errorf("%s: %q, want %q", text, have, want)
		}
		_ = c.SignalGroup(syscall.SIGKILL)
	}
}

func TestDefaultPath(t *testing.T) {
	if got, want := searchPath(nil), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"; got != want {
		t.Errorf("default PATH %q, want %q", got, want)
	}
}

// TestNameOfTheCommand checks that Argv[0] stays as given, and that a script
// receives the path where it was found.
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
