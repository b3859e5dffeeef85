package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// StartError is the error for a command that could not be started.
type StartError struct {
	Argv0 string        // the command's name as given
	Path  string        // the file that was tried; empty if none was found
	Err   syscall.Errno // the kernel's reason
	Code  int           // the corresponding exit code: 127 for ENOENT, otherwise 126
	Hint  string        // how to fix it, or empty
}

// Error returns one sentence for the termination message: the name, the file if
// it differs, the kernel's reason and the hint.
func (e *StartError) Error() string {
	text := fmt.Sprintf("start %q", e.Argv0)
	if e.Path != "" && e.Path != e.Argv0 {
		text += " (" + e.Path + ")"
	}
	text += ": " + e.Err.Error()
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// Unwrap returns the kernel's reason.
func (e *StartError) Unwrap() error { return e.Err }

// startError returns the error for a command whose file was not found or did
// not start.
func startError(c Command, path string, err error) *StartError {
	e := &StartError{Argv0: c.Argv[0], Path: path, Err: errno(err)}
	e.Code = codeOf(e.Err)
	e.Hint = hint(c, path, e.Err)
	return e
}

// codeOf returns the exit code for a command that did not start. ENOENT means
// 127 even if the file exists and its interpreter or loader does not, as in
// bash, dash and tini.
func codeOf(err syscall.Errno) int {
	if err == syscall.ENOENT {
		return spec.ExitNotFound
	}
	return spec.ExitNotExecutable
}

// errno returns the kernel's error in err. ForkExec returns no other kind; EIO
// stands for any other error.
func errno(err error) syscall.Errno {
	if n, ok := errors.AsType[syscall.Errno](err); ok {
		return n
	}
	return syscall.EIO
}

// hint returns the most likely meaning of the kernel's reason, and the remedy.
func hint(c Command, path string, err syscall.Errno) string {
	if path != "" && !filepath.IsAbs(path) {
		path = filepath.Join(c.Dir, path)
	}
	switch err {
	case syscall.ENOENT:
		return hintMissing(c, path)
	case syscall.EACCES:
		return hintDenied(path)
	case syscall.ENOEXEC:
		return hintFormat(path)
	case syscall.ETXTBSY:
		return "the file is still open for writing: start it after it was written and closed"
	case syscall.E2BIG:
		return "arguments and environment together are too long"
	case syscall.EAGAIN:
		return "no further process allowed: raise the container's PID limit"
	case syscall.EINVAL:
		return "an argument or environment variable contains a NUL byte, or the file is damaged"
	}
	return ""
}

// hintMissing explains ENOENT: the file is missing, or another file that it
// needs is.
func hintMissing(c Command, path string) string {
	if path == "" {
		return fmt.Sprintf("not in PATH %q: install it in the image, or give its full path", searchPath(c.Env))
	}
	if _, err := os.Lstat(path); err != nil {
		return "no such file in the image or its volumes"
	}
	switch head := readHead(path); {
	case strings.HasSuffix(head.interpreter, "\r"):
		return fmt.Sprintf("the script's first line ends in CR LF and names the interpreter %q: save it with LF line ends", head.interpreter)
	case head.script:
		return fmt.Sprintf("the file is there, its interpreter %q is not: install it in the image", head.interpreter)
	case head.interpreter != "":
		return fmt.Sprintf("the file is there, its loader %q is not: use a binary built for this image's C library, or a static one", head.interpreter)
	}
	return "the file is there, something it needs is not: the target of a link, its interpreter or its loader"
}

// hintDenied explains EACCES.
func hintDenied(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "a directory on the way to it may not be searched by this user"
	}
	if info.IsDir() {
		return "it is a directory"
	}
	if !info.Mode().IsRegular() {
		return "it is not a regular file"
	}
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0 {
		return "its volume is mounted noexec: keep the file elsewhere, or mount the volume with exec"
	}
	if executable(path) != nil {
		return "it is not executable for this user: chmod +x it"
	}
	if head := readHead(path); head.interpreter != "" {
		return fmt.Sprintf("this user may not execute it or its interpreter %q", head.interpreter)
	}
	return "this user may not execute it"
}

// hintFormat explains ENOEXEC.
func hintFormat(path string) string {
	head := readHead(path)
	switch {
	case head.empty:
		return "the file is empty"
	case head.arch != "" && head.arch != runtime.GOARCH:
		return fmt.Sprintf("the file is built for %s, this machine is %s: use an image for %s", head.arch, runtime.GOARCH, runtime.GOARCH)
	case head.elf:
		return "the file is damaged, or built for another kind of machine"
	case head.script:
		return "its #! line names no interpreter"
	}
	return `neither a binary nor a script with a first line as "#!/bin/sh": add one, or run it as "sh FILE"`
}
