package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Aims for kubectl koordinator.
const (
	toolStartAim = 60 * time.Millisecond
	lintAim      = 2 * time.Second
)

// manifests is the number of checked files.
const manifests = 1000

// tool measures kubectl koordinator: its start, and the check of many manifests.
func (b *bench) tool() ([]row, error) {
	program := filepath.Join(b.dir, "kubectl-koordinator")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/kubectl-koordinator")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build kubectl-koordinator: %w: %s", err, out)
	}
	dir, err := b.manifests()
	if err != nil {
		return nil, err
	}
	start := &subject{name: "start", run: func() (cost, error) { return timed([]string{program, "version", "--client"}, nil) }}
	lint := &subject{name: "lint", run: func() (cost, error) { return timed([]string{program, "lint", "-f", dir}, nil) }}
	if err := compare(b.runs(100), []*subject{start}); err != nil {
		return nil, err
	}
	if err := compare(b.runs(10), []*subject{lint}); err != nil {
		return nil, err
	}
	return []row{
		{"kubectl koordinator, start to end of `version --client`", start.spread(), "", "≤ " + ms(toolStartAim), start.median() <= toolStartAim},
		{fmt.Sprintf("`lint` of %d manifests in as many files", manifests), lint.spread(), "", "≤ " + ms(lintAim), lint.median() <= lintAim},
	}, nil
}

// manifests writes the sample Job to many files, under a different name in each.
func (b *bench) manifests() (string, error) {
	const name = "job-with-sidecar"
	text, err := os.ReadFile("config/samples/" + name + ".yaml")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.dir, "manifests")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	for i := range manifests {
		one := fmt.Sprintf("job-%d", i)
		if err := os.WriteFile(filepath.Join(dir, one+".yaml"), []byte(strings.Replace(string(text), "name: "+name, "name: "+one, 1)), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}
