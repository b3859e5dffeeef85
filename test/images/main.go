// Command images builds the container images from their Dockerfiles and writes
// them as archives that docker load and ctr images import read:
//
//	go run ./test/images [-o bin/images] [-version dev] [wrapper webhook …]
//
// It uses docker or podman where one answers. Elsewhere it uses buildah, which
// needs neither a daemon nor a registry: a stand-in made from this machine's
// Go toolchain takes the base image's place.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse(os.Args[1:])); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	out     string   // directory of the archives
	version string   // what the binaries call themselves
	images  []string // each has a Dockerfile.NAME
}

// parse reads the command line, or exits. Without names it means every image.
func parse(args []string) options {
	o := options{images: []string{"wrapper", "webhook"}}
	flags := flag.NewFlagSet("images", flag.ExitOnError)
	flags.StringVar(&o.out, "o", "bin/images", "write the archives to this `directory`")
	flags.StringVar(&o.version, "version", "dev", "`version` the binaries report")
	_ = flags.Parse(args) // exits on an error
	if flags.NArg() > 0 {
		o.images = flags.Args()
	}
	return o
}

// run builds the images one after the other; the first failure ends it.
func run(ctx context.Context, o options) (err error) {
	tools, err := readToolchain(ctx)
	if err != nil {
		return err
	}
	c := newConsole(os.Stdout, tools.root())
	e, err := newEngine(ctx, c, tools)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close(context.WithoutCancel(ctx), c)) }()
	if err := e.prepare(ctx, c); err != nil {
		return err
	}
	return buildAll(ctx, c, e, tools, o)
}

// buildAll writes an archive for each image and then lists them with their
// sizes.
func buildAll(ctx context.Context, c *console, e engine, tools toolchain, o options) error {
	dir, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var sizes []string
	for _, name := range o.images {
		file := filepath.Join(dir, name+".tar")
		i := image{name: name, version: o.version, archive: file + ".part", tools: tools}
		size, err := build(ctx, c, e, i, file)
		if err != nil {
			return err
		}
		sizes = append(sizes, fmt.Sprintf("%s  %.1f MB", filepath.Join(o.out, name+".tar"), float64(size)/1e6))
	}
	c.say("%s", strings.Join(sizes, "\n        "))
	return nil
}

// build replaces file when the new archive is complete, and returns its size.
func build(ctx context.Context, c *console, e engine, i image, file string) (int64, error) {
	defer func() { _ = os.Remove(i.archive) }()
	_ = os.Remove(i.archive) // left by a killed build; no builder writes over it
	for _, argv := range e.steps(i) {
		if err := c.run(ctx, "build "+i.name, argv...); err != nil {
			return 0, err
		}
	}
	info, err := os.Stat(i.archive)
	if err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(i.archive, file)
}
