package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is where container runtimes look when the environment has no
// PATH (containerd and CRI-O add it to the container's environment).
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Find is the file that a command's name stands for, as execvp(3) would find it
// from dir, the command's working directory ("": the present one). A name with a
// slash is a path and taken as it is. Any other is looked up in PATH as runtimes
// do, where an element that is empty or relative is below dir: os/exec refuses
// those (ErrDot), execvp and crun do not. Where PATH has only candidates that
// cannot be executed, the first comes back with EACCES; where it has none, ENOENT.
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

// searchPath is PATH as the command will see it: the first one, as getenv(3)
// finds it. An empty PATH is not a missing one: it finds nothing.
func searchPath(env []string) string {
	for _, entry := range env {
		if path, ok := strings.CutPrefix(entry, "PATH="); ok {
			return path
		}
	}
	return defaultPath
}

// executable is nil for a file this process may execute, EACCES for one it may
// not (directories, files on a noexec mount), and another error where there is
// none.
func executable(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return errno(err)
	}
	if info.IsDir() {
		return syscall.EACCES // as execve(2) says of one
	}
	return unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS)
}
