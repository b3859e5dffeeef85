// Package envfile reads a command's variables from files. Their content stays
// confidential: no error contains a value.
package envfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/wrapper/spec"
)

// maxSize limits the size of a file: no kernel accepts an environment that is
// much larger.
const maxSize = 1 << 20

// Read reads the assignments of all files in order. It may block on a slow
// disk, but not on a FIFO or a device. The error is one sentence that names
// every invalid file.
func Read(files []spec.EnvFile, reserved []string) ([]Variable, error) {
	var all []Variable
	var errs []string
	for _, f := range files {
		variables, err := readFile(f, reserved)
		if err != nil {
			errs = append(errs, fmt.Sprintf("env file %s: %v", f.Path, err))
			continue
		}
		all = append(all, variables...)
	}
	if len(errs) > 0 {
		return nil, errors.New(strings.Join(errs, "; "))
	}
	return all, nil
}

func readFile(f spec.EnvFile, reserved []string) ([]Variable, error) {
	content, err := load(f.Path)
	switch {
	case f.Optional && errors.Is(err, os.ErrNotExist):
		return nil, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf(`%w: make sure that it is there before this container starts, or make it optional: "%s?"`, err, f.Path)
	case err != nil:
		return nil, err
	}
	return Parse(content, reserved)
}

// load reads a regular file. Its errors do not contain the file's name.
func load(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	var content bytes.Buffer
	if _, err := content.ReadFrom(io.LimitReader(file, maxSize+1)); err != nil {
		return nil, cause(err)
	}
	if content.Len() > maxSize {
		return nil, errors.New("larger than 1 MiB")
	}
	return content.Bytes(), nil
}

// cause returns the kernel's reason from an error that names the file.
func cause(err error) error {
	if named, is := errors.AsType[*os.PathError](err); is {
		return named.Err
	}
	return err
}

// Over returns environ with variables added, which replace those of the same
// name. The last variable of a name counts.
func Over(environ []string, variables []Variable) []string {
	values := make(map[string]string, len(variables))
	for _, v := range variables {
		values[v.Name] = v.Value
	}
	merged := slices.DeleteFunc(slices.Clone(environ), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		_, replaced := values[name]
		return replaced
	})
	for _, v := range variables {
		if value, left := values[v.Name]; left {
			merged = append(merged, v.Name+"="+value)
			delete(values, v.Name)
		}
	}
	return merged
}
