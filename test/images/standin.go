package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

const (
	base        = "docker.io/library/golang:1.26.8"    // base image of the Dockerfiles
	bundle      = "/etc/ssl/certs/ca-certificates.crt" // path of the CA certificates, in the image as on Debian
	fingerprint = "koordinator.io/made-from"           // label with the hash of a stand-in's contents
)

// ensureStandIn keeps an existing stand-in that was made from the same files, and otherwise
// creates a new one.
func (b *buildah) ensureStandIn(ctx context.Context, c *console) error {
	shell, certificates, err := ingredients()
	if err != nil {
		return fmt.Errorf("make a stand-in for %s: %w", base, err)
	}
	sum := sha256.Sum256(slices.Concat([]byte(fmt.Sprint(standInConfig())), shell, certificates))
	want := hex.EncodeToString(sum[:])

	argv := b.command("inspect", "--type", "image", "--format", `{{index .OCIv1.Config.Labels "`+fingerprint+`"}}`, base)
	have, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).Output() // without an image, there is no output
	if string(bytes.TrimSpace(have)) == want {
		return nil
	}
	stage, err := os.MkdirTemp(b.temp(), "stage")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	if err := fill(stage, shell, certificates); err != nil {
		return fmt.Errorf("make a stand-in for %s: %w", base, err)
	}
	return b.makeStandIn(ctx, c, stage, want)
}

// standInConfig returns the settings that the real image has as well.
func standInConfig() []string {
	return []string{
		"--env", "PATH=/go/bin:/usr/local/go/bin:/bin",
		"--env", "GOPATH=/go",
		"--env", "GOTOOLCHAIN=local",
		"--workingdir", "/go",
	}
}

// makeStandIn commits an image of the stage, and removes the previous one. The image does
// not contain the Go toolchain. Every build mounts it, so that a few hundred megabytes need
// not be copied for each stage of each image.
func (b *buildah) makeStandIn(ctx context.Context, c *console, stage, sum string) error {
	const name = "stand-in"
	config := append([]string{"config", "--label", fingerprint + "=" + sum}, standInConfig()...)
	for _, args := range [][]string{
		{"rm", "--all"},
		{"from", "--name", name, "scratch"},
		{"copy", "-q", name, stage, "/"},
		append(config, name),
		{"commit", "-q", "--rm", name, base},
		{"rmi", "--prune"},
	} {
		if err := c.run(ctx, "make a stand-in for the base image: "+args[0], b.command(args...)...); err != nil {
			return err
		}
	}
	return nil
}

// ingredients returns busybox, which must be static, and the CA certificates that this
// machine trusts.
func ingredients() (shell, certificates []byte, err error) {
	path, err := exec.LookPath("busybox")
	if err != nil {
		return nil, nil, err
	}
	file := os.Getenv("SSL_CERT_FILE")
	if file == "" {
		file = bundle
	}
	shell, err = os.ReadFile(path)
	certificates, err2 := os.ReadFile(file)
	return shell, certificates, errors.Join(err, err2)
}

// fill creates the stand-in's files. A RUN needs only the shell, because busybox contains
// the other commands.
func fill(stage string, shell, certificates []byte) error {
	at := func(name string) string { return filepath.Join(stage, name) }
	return errors.Join(
		os.MkdirAll(at("bin"), 0o755),
		os.MkdirAll(at("tmp"), 0o755),
		os.Chmod(at("tmp"), 0o777|os.ModeSticky),
		os.MkdirAll(at("root"), 0o755),
		os.MkdirAll(at(filepath.Dir(bundle)), 0o755),
		os.WriteFile(at("etc/passwd"), []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644), // defines HOME
		os.WriteFile(at("bin/busybox"), shell, 0o755),
		os.Symlink("busybox", at("bin/sh")),
		os.WriteFile(at(bundle), certificates, 0o644),
	)
}
