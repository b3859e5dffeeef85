package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestChoose(t *testing.T) {
	for _, tt := range []struct {
		name     string
		answers  []string
		apt      bool
		engine   string
		packages []string
		err      string
	}{
		{name: "docker comes first", answers: []string{"docker", "podman", "buildah", "busybox"}, engine: "docker"},
		{name: "podman comes next", answers: []string{"podman", "buildah", "busybox"}, apt: true, engine: "podman"},
		{name: "buildah needs no root when it is there", answers: []string{"buildah", "busybox"}, engine: "buildah"},
		{name: "root installs what is missing", answers: []string{"buildah"}, apt: true, engine: "buildah", packages: []string{"busybox-static"}},
		{name: "root installs everything", apt: true, engine: "buildah", packages: []string{"buildah", "busybox-static"}},
		{name: "others are told what is missing", err: "packages buildah, busybox-static"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			answers := func(name string, _ ...string) bool { return slices.Contains(tt.answers, name) }
			engine, packages, err := choose(host{answers: answers, apt: tt.apt})
			if engine != tt.engine || !slices.Equal(packages, tt.packages) {
				t.Errorf("choose() = %q, %q, want %q, %q", engine, packages, tt.engine, tt.packages)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("choose() error %v, want one that has %q", err, tt.err)
			}
		})
	}
}

func TestSteps(t *testing.T) {
	i := image{
		name: "wrapper", platform: v1.Platform{OS: "linux", Architecture: "arm64"}, archive: "/out/wrapper.tar.part",
		options: options{version: "v1.2.3", revision: "abc", source: "https://git.example/k", created: time.Unix(1800000000, 0).UTC()},
		tools: toolchain{
			GOROOT: "/sdk/go", GOHOSTARCH: "amd64", GOPROXY: "https://proxy.example,direct", GOSUMDB: "off", GOMODCACHE: "/mod",
		},
	}
	common := "--platform linux/arm64 --build-arg VERSION=v1.2.3 --build-arg REVISION=abc --build-arg SOURCE=https://git.example/k" +
		" --build-arg CREATED=2027-01-15T08:00:00Z --build-arg GOSUMDB=off -f Dockerfile.wrapper"
	for _, tt := range []struct {
		engine engine
		want   []string
	}{
		{client("docker"), []string{
			"docker build " + common + " --build-arg GOPROXY=https://proxy.example,direct" +
				" --build-arg SOURCE_DATE_EPOCH=1800000000 -t docker.io/koordinator/wrapper:dev-arm64 .",
			"docker save -o /out/wrapper.tar.part docker.io/koordinator/wrapper:dev-arm64",
		}},
		{client("podman"), []string{
			"podman build " + common + " --build-arg GOPROXY=https://proxy.example,direct" +
				" --timestamp 1800000000 -t docker.io/koordinator/wrapper:dev-arm64 .",
			"podman save -o /out/wrapper.tar.part docker.io/koordinator/wrapper:dev-arm64",
		}},
		{&buildah{dir: "/cache/buildah", tools: i.tools}, []string{
			"buildah --storage-driver vfs --root /cache/buildah/storage --runroot /cache/buildah/run" +
				" bud --isolation chroot --pull-never --timestamp 1800000000 --identity-label=false" +
				" --volume /sdk/go:/usr/local/go:ro --volume /mod/cache/download:/modules:ro" +
				" --build-arg GOPROXY=file:///modules,https://proxy.example,direct --build-arg BUILDPLATFORM=linux/amd64 " +
				common + " -t docker-archive:/out/wrapper.tar.part:koordinator/wrapper:dev-arm64 .",
		}},
	} {
		t.Run(strings.Fields(tt.want[0])[0], func(t *testing.T) {
			var got []string
			for _, argv := range tt.engine.steps(i) {
				got = append(got, strings.Join(argv, " "))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("steps:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestParse(t *testing.T) {
	all, err := parse(nil, io.Discard)
	if err != nil || all.out != "bin/images" || all.version != "dev" || len(all.platforms) > 0 || !slices.Equal(all.images, []string{"wrapper", "webhook"}) {
		t.Errorf("without arguments: %+v, %v", all, err)
	}
	one, err := parse([]string{"-o", "out", "-version", "v1", "-created", "60", "-platforms", "linux/amd64,linux/arm64", "webhook"}, io.Discard)
	if err != nil || one.out != "out" || one.version != "v1" || one.created.Unix() != 60 || !slices.Equal(one.images, []string{"webhook"}) {
		t.Errorf("with arguments: %+v, %v", one, err)
	}
	if len(one.platforms) != 2 || one.platforms[1].String() != "linux/arm64" {
		t.Errorf("platforms: %v", one.platforms)
	}
	for _, text := range []string{"arm64", "windows/amd64", "linux/"} {
		if _, err := parse([]string{"-platforms", text}, io.Discard); err == nil {
			t.Errorf("platform %q is taken", text)
		}
	}
}

// The stand-in replaces the base image only if its name is the one in the Dockerfiles.
func TestDockerfilesBuildFromTheStandIn(t *testing.T) {
	from := regexp.MustCompile(`(?m)^FROM --platform=\$BUILDPLATFORM (\S+) AS build$`)
	all, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all.images {
		text, err := os.ReadFile("../../Dockerfile." + name)
		if err != nil {
			t.Fatal(err)
		}
		found := from.FindStringSubmatch(string(text))
		if found == nil || "docker.io/library/"+found[1] != base {
			t.Errorf("Dockerfile.%s builds from %q, the stand-in is %s", name, found, base)
		}
	}
}

func TestACommandThatFailsShowsItsLastLines(t *testing.T) {
	var out bytes.Buffer
	c := newConsole(&out, t.TempDir())
	err := c.run(context.Background(), "count", "sh", "-c", "seq 1000; exit 3")
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("run() = %v, want exit status 3", err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 1+tailLines || lines[1] != "971" || lines[tailLines] != "1000" {
		t.Errorf("run() shows %d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	if !strings.Contains(out.String(), "count") {
		t.Errorf("progress is %q, want it to name the step", &out)
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var output tail
	for range 3 {
		_, _ = output.Write(bytes.Repeat([]byte("x"), tailBytes))
	}
	_, _ = output.Write([]byte("\nthe end\n"))
	if got := output.lines(1); got != "the end" || len(output.kept) != tailBytes {
		t.Errorf("tail keeps %d bytes, last line %q", len(output.kept), got)
	}
}
