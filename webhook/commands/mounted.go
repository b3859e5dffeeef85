package commands

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// mountedFiles is the content of a ConfigMap or Secret that is mounted into the
// webhook's pod. It is read again after the kubelet has replaced it.
type mountedFiles[T any] struct {
	dir   string // "": none
	parse func(files map[string]string) (T, []error)
	log   *slog.Logger

	mu      sync.Mutex
	version string // of value
	value   T
}

// get returns the current content of the files. It logs each invalid file once
// per version.
func (m *mountedFiles[T]) get() T {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dir == "" {
		return m.value
	}
	version, err := m.latest()
	if err != nil || version == m.version {
		return m.value
	}
	files, err := readFiles(m.dir)
	if err != nil {
		m.log.Error("mounted files not read", "directory", m.dir, "error", err)
		return m.value
	}
	value, problems := m.parse(files)
	for _, problem := range problems {
		m.log.Error("mounted file invalid, skipped", "directory", m.dir, "problem", problem)
	}
	m.value, m.version = value, version
	return m.value
}

// latest identifies the current version of the files. The kubelet replaces them
// atomically through a symbolic link named ..data.
func (m *mountedFiles[T]) latest() (string, error) {
	target, err := os.Readlink(filepath.Join(m.dir, "..data"))
	if err == nil {
		return target, nil
	}
	info, err := os.Stat(m.dir)
	if err != nil {
		return "", fmt.Errorf("look at %s: %w", m.dir, err)
	}
	return info.ModTime().String(), nil
}

// readFiles returns the contents of the files in a directory, by name. It skips
// the kubelet's hidden files.
func readFiles(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		files[e.Name()] = string(text)
	}
	return files, nil
}
