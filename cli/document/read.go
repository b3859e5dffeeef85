package document

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/resource"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"koordinator.io/koordinator/cli/input"
)

// Text is the content of one source.
type Text struct {
	Source string // the file or URL, "STDIN", or the kustomization's directory
	Text   string
}

// Read reads the texts of all manifests that the options select, in their order. The error
// lists everything that could not be read; Read still returns the other texts.
func Read(o input.Options, stdin io.Reader) ([]Text, error) {
	var all []Text
	var problems []error
	for _, file := range o.Files {
		more, err := readOne(file, o.Recursive, stdin)
		all = append(all, more...)
		problems = append(problems, err)
	}
	if o.Kustomize != "" {
		text, err := build(o.Kustomize)
		if err == nil {
			all = append(all, Text{o.Kustomize, text})
		}
		problems = append(problems, err)
	}
	return all, errors.Join(problems...)
}

// readOne reads one file, directory or URL, or stdin.
func readOne(name string, recursive bool, stdin io.Reader) ([]Text, error) {
	switch {
	case name == "-":
		text, err := io.ReadAll(stdin)
		return []Text{{"STDIN", string(text)}}, err
	case strings.HasPrefix(name, "http://"), strings.HasPrefix(name, "https://"):
		text, err := fetch(name)
		return []Text{{name, text}}, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	files := []string{name}
	if info.IsDir() {
		if files, err = below(name, recursive); err != nil {
			return nil, err
		}
	}
	var all []Text
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return all, err
		}
		all = append(all, Text{file, string(text)})
	}
	return all, nil
}

// below returns the manifests in a directory. Like kubectl, it selects them by file extension.
func below(directory string, recursive bool) ([]string, error) {
	var all []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != directory && !recursive:
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains(resource.FileExtensions, filepath.Ext(path)):
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

// longestFetch is the timeout for one URL.
const longestFetch = time.Minute

// fetch reads a URL.
func fetch(url string) (string, error) {
	client := http.Client{Timeout: longestFetch}
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("read %s: the server answers %s", url, answer.Status)
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// build renders a kustomization.
func build(directory string) (string, error) {
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", directory, err)
	}
	text, err := all.AsYaml()
	return string(text), err
}
