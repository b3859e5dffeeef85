package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// toolchain holds values of "go env" for this machine and this module.
type toolchain struct {
	GOMOD      string // path of the module's go.mod
	GOROOT     string
	GOVERSION  string // for example "go1.26.8"
	GOHOSTARCH string
	GOPROXY    string
	GOSUMDB    string
	GOMODCACHE string
}

// readToolchain gets the toolchain for the module of the working directory from the go command.
func readToolchain(ctx context.Context) (toolchain, error) {
	var t toolchain
	out, err := exec.CommandContext(ctx, "go", "env", "-json").Output()
	if err != nil {
		return t, fmt.Errorf("go env: %w", err)
	}
	if err := json.Unmarshal(out, &t); err != nil {
		return t, fmt.Errorf("go env: %w", err)
	}
	if filepath.Base(t.GOMOD) != "go.mod" {
		return t, fmt.Errorf("find the Dockerfiles: the working directory is in no Go module")
	}
	return t, nil
}

// host returns this machine's platform.
func (t toolchain) host() v1.Platform { return v1.Platform{OS: "linux", Architecture: t.GOHOSTARCH} }

// root returns the directory of the Dockerfiles and of all files that they copy.
func (t toolchain) root() string { return filepath.Dir(t.GOMOD) }

// downloads returns the part of the module cache that can serve as a GOPROXY.
func (t toolchain) downloads() string { return filepath.Join(t.GOMODCACHE, "cache", "download") }
