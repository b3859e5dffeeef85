package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is the search path of container runtimes if the environment has
// no PATH (containerd and CRI-O add it to the container's environment).
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Find returns the file for a command's name, as execvp(3) would find it in
// dir, the command's working directory ("": the present one). A name with a
// slash is a path and is returned unchanged. Other names are searched for in
// PATH like in container runtimes: an empty or relative element is relative to
// dir. os/exec rejects those (ErrDot), execvp and crun do not. If PATH contains
// only candidates that cannot be executed, Find returns the first one with
// EACCES; if it contains none, ENOENT.
func Find(name string, env []string, dir string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	denied := ""
	for _, element := range filepath.SplitList(searchPath(env)) {
		file := filepath.Join(element, name)
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, syscall.EACCES) && denied == "" {
			denied = file
		}
	}
	if denied != "" {
		return denied, syscall.EACCES
	}
	return "", syscall.ENOENT
}

// searchPath returns the PATH that the command will see: the first one, as
// getenv(3) finds it. An empty PATH is different from a missing one: nothing is
// found in it.
func searchPath(env []string) string {
	for _, entry := range env {
		if path, ok := strings.CutPrefix(entry, "PATH="); ok {
			return path
		}
	}
	return defaultPath
}

// executable returns nil for a file that this process may execute, EACCES for
// one that it may not (including directories, and files on a noexec mount), and
// another error if the file does not exist.
func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return errno(err)
	}
	if info.IsDir() {
		return syscall.EACCES // like execve(2)
	}
	return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
}
