package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// image is one image to build, for one platform.
type image struct {
	options
	name     string // the image is built from Dockerfile.NAME
	platform v1.Platform
	archive  string // absolute path of a file that does not exist yet
	tools    toolchain
}

// tag returns the image's name in the engine's archive.
func (i image) tag() string { return "koordinator/" + i.name + ":dev-" + i.platform.Architecture }

// epoch returns the image's creation time in seconds since 1970.
func (i image) epoch() string { return strconv.FormatInt(i.created.Unix(), 10) }

// engine builds images.
type engine interface {
	// prepare runs before the first build.
	prepare(ctx context.Context, c *console) error
	// steps returns the commands that write i.archive. They run in the module's root.
	steps(i image) [][]string
	// close releases the resources of prepare and of unfinished builds.
	close(ctx context.Context, c *console) error
}

// host holds the properties of the machine on which the choice of an engine depends.
type host struct {
	answers func(name string, args ...string) bool // reports whether a command runs and succeeds
	apt     bool                                   // packages can be installed
}

// choose prefers a running engine to buildah, which may require the installation of Debian packages.
func choose(h host) (engine string, packages []string, err error) {
	for _, name := range []string{"docker", "podman"} {
		if h.answers(name, "info") {
			return name, nil, nil
		}
	}
	if !h.answers("buildah", "--version") {
		packages = append(packages, "buildah")
	}
	if !h.answers("busybox", "true") {
		packages = append(packages, "busybox-static")
	}
	if len(packages) > 0 && !h.apt {
		return "", nil, fmt.Errorf("choose a builder: neither docker nor podman answers, and buildah needs the packages %s"+
			" (installed by themselves for root on Debian)", strings.Join(packages, ", "))
	}
	return "buildah", packages, nil
}

// newEngine chooses an engine and installs it if needed.
func newEngine(ctx context.Context, c *console, tools toolchain) (engine, error) {
	_, err := exec.LookPath("apt-get")
	name, packages, err := choose(host{
		answers: func(name string, args ...string) bool { return exec.CommandContext(ctx, name, args...).Run() == nil },
		apt:     err == nil && os.Geteuid() == 0,
	})
	if err != nil {
		return nil, err
	}
	if len(packages) > 0 {
		if err := install(ctx, c, packages); err != nil {
			return nil, err
		}
	}
	if name == "buildah" {
		return newBuildah(c, tools)
	}
	return client(name), nil
}

// install installs Debian packages. It waits for other package managers to end.
func install(ctx context.Context, c *console, packages []string) error {
	if err := c.run(ctx, "update the package lists", "apt-get", "update", "-q"); err != nil {
		return err
	}
	label := "install " + strings.Join(packages, " ")
	argv := []string{
		"env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y",
		"--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
	}
	return c.run(ctx, label, append(argv, packages...)...)
}

// arguments returns the arguments that every builder supports.
func (i image) arguments() []string {
	return []string{
		"--platform", i.platform.String(),
		"--build-arg", "VERSION=" + i.version,
		"--build-arg", "REVISION=" + i.revision,
		"--build-arg", "SOURCE=" + i.source,
		"--build-arg", "CREATED=" + i.created.Format(time.RFC3339),
		"--build-arg", "GOSUMDB=" + i.tools.GOSUMDB,
		"-f", "Dockerfile." + i.name,
	}
}

// client is a program that builds and stores images by itself: "docker" or
// "podman".
type client string

func (n client) prepare(context.Context, *console) error { return nil }

func (n client) close(context.Context, *console) error { return nil }

func (n client) steps(i image) [][]string {
	build := append([]string{string(n), "build"}, i.arguments()...)
	build = append(build, "--build-arg", "GOPROXY="+i.tools.GOPROXY)
	if n == "podman" {
		build = append(build, "--timestamp", i.epoch())
	} else {
		build = append(build, "--build-arg", "SOURCE_DATE_EPOCH="+i.epoch())
	}
	return [][]string{
		append(build, "-t", "docker.io/"+i.tag(), "."),
		{string(n), "save", "-o", i.archive, "docker.io/" + i.tag()},
	}
}
