package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// toolchain is what "go env" says about this machine and this module.
type toolchain struct {
	GOMOD      string // the module's go.mod
	GOROOT     string
	GOVERSION  string // like "go1.26.8"
	GOHOSTARCH string
	GOPROXY    string
	GOSUMDB    string
	GOMODCACHE string
}

// readToolchain asks the go command for the module of the working directory.
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

// host is this machine's platform.
func (t toolchain) host() v1.Platform { return v1.Platform{OS: "linux", Architecture: t.GOHOSTARCH} }

// root is the directory of the Dockerfiles and of everything they copy.
func (t toolchain) root() string { return filepath.Dir(t.GOMOD) }

// downloads is the part of the module cache that a GOPROXY can name.
func (t toolchain) downloads() string { return filepath.Join(t.GOMODCACHE, "cache", "download") }
