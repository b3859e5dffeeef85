package process

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fail starts a command that cannot start.
func fail(t *testing.T, c Command) *StartError {
	t.Helper()
	child, err := Start(c)
	var failure *StartError
	if !errors.As(err, &failure) {
		t.Fatalf("Start(%q) = %v, %v, want a *StartError", c.Argv, child, err)
	}
	return failure
}

// check compares a failure with its exit code and parts of its text.
func check(t *testing.T, e *StartError, code int, parts ...string) {
	t.Helper()
	if e.Code != code {
		t.Errorf("exit code %d, want %d", e.Code, code)
	}
	for _, part := range parts {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("text %q lacks %q", e, part)
		}
	}
}

func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	plain := write(t, dir+"/plain", "echo hi\n")
	for _, test := range []struct {
		name  string
		argv  []string
		code  int
		parts []string
	}{
		{"no command", nil, 127, []string{"no such file", "empty"}},
		{"an empty name", []string{""}, 127, []string{"no such file", "empty"}},
		{"tini-12 dinit-05 not in PATH", []string{"no-such-command"}, 127, []string{`start "no-such-command"`, "no such file or directory", os.Getenv("PATH")}},
		{"dinit-05 no such path", []string{dir + "/none"}, 127, []string{dir + "/none", "no such file or directory"}},
		{"no such directory", []string{dir + "/none/app"}, 127, []string{"no such file or directory"}},
		{"a file in place of a directory", []string{plain + "/app"}, 126, []string{"not a directory"}},
		{"tini-14 gort-13 a script without #!", []string{plain}, 126, []string{plain, "exec format error", "#!/bin/sh"}},
		{"an empty file", []string{write(t, dir+"/empty", "")}, 126, []string{"exec format error", "the file is empty"}},
		{"#! and nothing", []string{write(t, dir+"/nothing", "#!\n")}, 126, []string{"exec format error", "names no interpreter"}},
		{"a directory", []string{dir}, 126, []string{"permission denied", "it is a directory"}},
		{"not executable", []string{notExecutable(t, dir)}, 126, []string{"permission denied", "chmod +x"}},
		{"a missing interpreter", []string{write(t, dir+"/script", "#! /no/such/interpreter -x\n")}, 127, []string{"no such file", `interpreter "/no/such/interpreter" is not`}},
		{"a script with CR LF", []string{write(t, dir+"/crlf", "#!/bin/sh\r\necho\r\n")}, 127, []string{"CR LF", `/bin/sh\r`}},
		{"an interpreter that is not executable", []string{write(t, dir+"/noint", "#!"+notExecutable(t, dir)+"\n")}, 126, []string{"permission denied", "interpreter"}},
		{"a dangling link", []string{dangling(t, dir)}, 127, []string{"no such file", "link"}},
		{"a link to itself", []string{loop1(t, dir)}, 126, []string{"too many levels of symbolic links"}},
		{"a missing loader", []string{patched(t, dir, breakLoader)}, 127, []string{"no such file", "loader"}},
		{"another machine's binary", []string{patched(t, dir, breakMachine)}, 126, []string{"exec format error", "built for", "this machine is " + runtime.GOARCH}},
		{"tini-14 arguments too long", []string{"true", strings.Repeat("x", 1<<20)}, 126, []string{"argument list too long"}},
		{"a NUL byte", []string{"true", "a\x00b"}, 126, []string{"invalid argument", "NUL"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := fail(t, Command{Argv: test.argv, Env: os.Environ()})
			t.Log(e)
			check(t, e, test.code, test.parts...)
			if exits := Reap(); exits != nil {
				t.Errorf("the attempt left processes: %v", exits)
			}
		})
	}
}

// notExecutable returns a file without any x bit.
func notExecutable(t *testing.T, dir string) string {
	t.Helper()
	file := dir + "/data"
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// dangling returns a symbolic link without a target.
func dangling(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Symlink("no-such-target", dir+"/dangling"); err != nil {
		t.Fatal(err)
	}
	return dir + "/dangling"
}

// loop1 returns a symbolic link to itself.
func loop1(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Symlink("loop", dir+"/loop"); err != nil {
		t.Fatal(err)
	}
	return dir + "/loop"
}

// patched returns a copy of a dynamically linked system binary with a fault.
func patched(t *testing.T, dir string, fault func(t *testing.T, data []byte)) string {
	t.Helper()
	data, err := os.ReadFile("/bin/cat")
	if err != nil {
		t.Fatal(err)
	}
	fault(t, data)
	f, err := os.CreateTemp(dir, "binary")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	os.Chmod(f.Name(), 0o755)
	return write(t, f.Name(), string(data))
}

// breakLoader makes a binary require a loader that does not exist.
func breakLoader(t *testing.T, data []byte) {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			copy(data[p.Off:], "/no/ld")
			return
		}
	}
	t.Fatal("the binary asks for no loader")
}

// breakMachine turns a binary into one for another architecture.
func breakMachine(_ *testing.T, data []byte) {
	machine := elf.EM_AARCH64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_X86_64
	}
	binary.LittleEndian.PutUint16(data[18:], uint16(machine))
}

func TestNoexecVolume(t *testing.T) {
	t.Run("own-18 the error names the mount", func(t *testing.T) {
		a := newActor(t, "noexec", []string{t.TempDir()})
		a.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if _, code := a.run(t); code != 126 {
			t.Errorf("exit code %d, want 126", code)
		}
		for _, part := range []string{"permission denied", "mounted noexec"} {
			if !strings.Contains(a.stderr.String(), part) {
				t.Errorf("stderr %q lacks %q", &a.stderr, part)
			}
		}
	})
}

func TestFileBusy(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "app"), "#!/bin/sh\nexit 5\n")
	writer, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("tini-14 refused while it stays open for writing", func(t *testing.T) {
		check(t, fail(t, Command{Argv: []string{file}, Env: os.Environ()}), 126, file, "text file busy", "open for writing")
	})
	t.Run("starts once it is closed", func(t *testing.T) {
		time.AfterFunc(busyLimit/4, func() { writer.Close() })
		if code := await(t, begin(t, file)); code != 5 {
			t.Errorf("exit code %d, want 5", code)
		}
	})
}

func TestReadHead(t *testing.T) {
	for name, data := range map[string]string{
		"cut within the header":         "\x7fELF\x02\x01\x01",
		"program headers beyond it":     "\x7fELF\x02\x01\x01" + strings.Repeat("\xff", 100),
		"another byte order":            "\x7fELF\x02\x02\x01" + strings.Repeat("\x00", 100),
		"no program headers":            "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 100),
		"a 32-bit binary":               "\x7fELF\x01\x01\x01" + strings.Repeat("\x00", 100),
		"a loader's name beyond it":     loaderAt(1 << 40),
		"a loader's name that overruns": loaderAt(100),
	} {
		t.Run(name, func(t *testing.T) {
			got := readHead(write(t, t.TempDir()+"/f", data))
			if want := (head{elf: true}); got != want {
				t.Errorf("head %+v, want %+v", got, want)
			}
		})
	}
	t.Run("no file", func(t *testing.T) {
		if got := readHead(t.TempDir() + "/none"); got != (head{}) {
			t.Errorf("head %+v", got)
		}
	})
}

// loaderAt returns a binary whose loader's name is 64 bytes at an offset.
func loaderAt(offset uint64) string {
	data := make([]byte, 64+56)
	copy(data, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint64(data[32:], 64)
	le.PutUint16(data[56:], 1)
	le.PutUint32(data[64:], 3)
	le.PutUint64(data[64+8:], offset)
	le.PutUint64(data[64+32:], 64)
	return string(data)
}
