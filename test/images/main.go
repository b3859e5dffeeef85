// Command images builds the container images from their Dockerfiles:
//
//	go run ./test/images [-o bin/images] [-version dev] [-platforms linux/amd64,linux/arm64] [wrapper webhook …]
//
// For each image it writes NAME.tar, an archive for one platform that docker load and ctr
// images import accept, and NAME, an OCI image layout with an index of all platforms, which
// can be pushed. The same source results in the same digests: see canonical.
//
// It uses docker or podman if one of them runs. Otherwise it uses buildah, which needs
// neither a daemon nor a registry. Then, a stand-in made from this machine's Go toolchain
// replaces the base image.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		err = run(ctx, os.Stdout, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// options holds the options of the command line.
type options struct {
	out       string        // directory of the results
	version   string        // version that the binaries report
	revision  string        // commit of the source, for a label
	source    string        // URL of the repository, for a label
	created   time.Time     // creation time of the image and of every file in it
	platforms []v1.Platform // empty for this machine's platform
	images    []string      // each has a Dockerfile.NAME
}

// parse parses the command line. Without names, it selects every image. It prints help
// texts and errors to stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	o := options{images: []string{"wrapper", "webhook"}}
	flags := flag.NewFlagSet("images", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.out, "o", "bin/images", "write the images to this `directory`")
	flags.StringVar(&o.version, "version", "dev", "`version` the binaries report")
	flags.StringVar(&o.revision, "revision", "", "label: the `commit` they are made from")
	flags.StringVar(&o.source, "source", "", "label: the `URL` of the repository")
	created := flags.Int64("created", 0, "when the source was made, in `seconds` since 1970")
	platforms := flags.String("platforms", "", "`list` of OS/ARCHITECTURE, separated by commas (default: this machine's)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.created = time.Unix(*created, 0).UTC()
	for text := range strings.SplitSeq(*platforms, ",") {
		if text == "" {
			continue
		}
		p, err := v1.ParsePlatform(text)
		if err != nil || p.OS != "linux" || p.Architecture == "" {
			return o, fmt.Errorf("-platforms: %q is not linux/ARCHITECTURE", text)
		}
		o.platforms = append(o.platforms, *p)
	}
	if flags.NArg() > 0 {
		o.images = flags.Args()
	}
	return o, nil
}

// run builds the images one after another; the first failure ends the run.
func run(ctx context.Context, out io.Writer, o options) (err error) {
	tools, err := readToolchain(ctx)
	if err != nil {
		return err
	}
	if len(o.platforms) == 0 {
		o.platforms = []v1.Platform{tools.host()}
	}
	c := newConsole(out, tools.root())
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

// buildAll writes the images, and then lists them with their digests.
func buildAll(ctx context.Context, c *console, e engine, tools toolchain, o options) error {
	dir, err := filepath.Abs(o.out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var lines []string
	for _, name := range o.images {
		var built []platformImage
		for _, p := range o.platforms {
			i := image{name: name, platform: p, options: o, tools: tools, archive: filepath.Join(dir, name+".tar.part")}
			made, err := build(ctx, c, e, i)
			if err != nil {
				return err
			}
			built = append(built, platformImage{p, made})
		}
		line, err := write(filepath.Join(dir, name), name, o, tools.host(), built)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		lines = append(lines, line)
	}
	c.say("%s", strings.Join(lines, "\n        "))
	return nil
}

// build makes an engine build an image for one platform, and reads the image.
func build(ctx context.Context, c *console, e engine, i image) (v1.Image, error) {
	defer func() { _ = os.Remove(i.archive) }()
	_ = os.Remove(i.archive) // a killed build may leave the archive, and no builder overwrites it
	for _, argv := range e.steps(i) {
		if err := c.run(ctx, "build "+i.name+" for "+i.platform.String(), argv...); err != nil {
			return nil, err
		}
	}
	made, err := canonical(i)
	if err != nil {
		return nil, fmt.Errorf("read the archive of %s: %w", i.name, err)
	}
	return made, nil
}
