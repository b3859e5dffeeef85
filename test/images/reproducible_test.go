//go:build e2e

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// released returns the options that make sets for a release.
func released(t *testing.T, out string) options {
	t.Helper()
	o, err := parse([]string{
		"-o", out, "-version", "v0.0.0-test", "-revision", "0123456789abcdef", "-source", "https://git.example/koordinator",
		"-created", "1800000000", "-platforms", "linux/amd64,linux/arm64",
	}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestImages builds both images for both platforms, from the Dockerfiles.
func TestImages(t *testing.T) {
	first := filepath.Join(t.TempDir(), "images")
	makeTarget(t, "images", "IMAGES="+first, "VERSION=v0.0.0-test", "PLATFORMS=linux/amd64,linux/arm64",
		"REVISION=0123456789abcdef", "SOURCE=https://git.example/koordinator", "SOURCE_DATE_EPOCH=1800000000")
	t.Run("another checkout gives the same digests", func(t *testing.T) { testSameDigests(t, first) })
	for _, tt := range []struct {
		image   string
		program string
		files   []string
	}{
		{"wrapper", "/bin/koordinator", []string{"LICENSE", "api/", "bin/", "bin/copy", "bin/cp", "bin/koordinator", "bin/koordinator-net", "bin/kubexit", "bin/proa", "peers/", "podinfo/", "record/"}},
		{"webhook", "/webhook", []string{"LICENSE", "etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "webhook"}},
	} {
		for _, architecture := range []string{"amd64", "arm64"} {
			t.Run(tt.image+" for "+architecture, func(t *testing.T) {
				made := imageIn(t, filepath.Join(first, tt.image), architecture)
				testConfig(t, made, architecture, tt.program)
				testFiles(t, made, architecture, strings.TrimPrefix(tt.program, "/"), tt.files)
			})
		}
	}
	t.Run("the bills name every module", func(t *testing.T) { testBills(t, first) })
	t.Run("what is pushed has the digest that was built", func(t *testing.T) { testPush(t, first) })
}

// imageIn returns a layout's image for an architecture.
func imageIn(t *testing.T, dir, architecture string) v1.Image {
	t.Helper()
	for _, m := range indexAt(t, dir).Manifests {
		if m.Platform.Architecture == architecture {
			made, err := openIndex(t, dir).Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
	}
	t.Fatalf("%s has nothing for %s", dir, architecture)
	return nil
}

// testSameDigests builds from a copy of the source with other times and modes. The wrapper,
// which compiles in seconds, is built for one platform without any results of the first
// build.
func testSameDigests(t *testing.T, first string) {
	second := filepath.Join(t.TempDir(), "images")
	checkout(t)
	webhook := released(t, second)
	webhook.images = []string{"webhook"}
	if err := run(t.Context(), t.Output(), webhook); err != nil {
		t.Fatal(err)
	}
	wrapper := released(t, second)
	wrapper.images, wrapper.platforms = []string{"wrapper"}, wrapper.platforms[1:]
	t.Setenv("KOORDINATOR_CACHE", t.TempDir())
	if err := run(t.Context(), t.Output(), wrapper); err != nil {
		t.Fatal(err)
	}
	for image, platforms := range map[string]int{"wrapper": 1, "webhook": 2} {
		one, other := indexAt(t, filepath.Join(first, image)), indexAt(t, filepath.Join(second, image))
		if diff := cmp.Diff(one.Manifests[len(one.Manifests)-platforms:], other.Manifests); diff != "" {
			t.Errorf("%s differs: %s", image, diff)
		}
	}
}

// checkout copies the files that git tracks, and makes the copy the working directory.
func checkout(t *testing.T) {
	t.Helper()
	tools, err := readToolchain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = tools.root()
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for file := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(tools.root(), file))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-1000 * time.Hour)
		if err := os.Chtimes(to, long, long); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// testConfig checks the properties that a runtime and a registry read.
func testConfig(t *testing.T, made v1.Image, architecture, program string) {
	config, err := made.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != architecture {
		t.Errorf("it is for %s/%s", config.OS, config.Architecture)
	}
	if config.Config.User != "65532:65532" {
		t.Errorf("it runs as %q, want a number", config.Config.User)
	}
	if len(config.Config.Entrypoint) == 0 || config.Config.Entrypoint[0] != program {
		t.Errorf("it runs %q, want %s", config.Config.Entrypoint, program)
	}
	for label, want := range map[string]string{
		"version": "v0.0.0-test", "revision": "0123456789abcdef", "source": "https://git.example/koordinator",
		"created": "2027-01-15T08:00:00Z", "licenses": "Apache-2.0",
	} {
		if got := config.Config.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
}

// testFiles checks every file. The image must not contain anything else, and thus no shell.
// The program must be one static binary for the platform.
func testFiles(t *testing.T, made v1.Image, architecture, program string, want []string) {
	files, err := readFiles(made)
	if err != nil {
		t.Fatal(err)
	}
	if names := sortedKeys(files); !slices.Equal(names, want) {
		t.Errorf("the image holds %v, want %v", names, want)
	}
	binary, err := elf.NewFile(bytes.NewReader(files[program].content))
	if err != nil {
		t.Fatal(err)
	}
	if machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[architecture]; binary.Machine != machine {
		t.Errorf("the program is for %s, want %s", binary.Machine, machine)
	}
	for _, p := range binary.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program has %s: it is not static", p.Type)
		}
	}
}

// testBills compares the bills with the programs of each image, and with the modules that
// Go reports for their packages on that platform. They must list each of these modules, and no other.
func testBills(t *testing.T, images string) {
	out := t.TempDir()
	makeTarget(t, "sbom", "IMAGES="+images, "SBOM="+out)
	before := bills(t, out)
	makeTarget(t, "sbom", "IMAGES="+images, "SBOM="+out)
	if diff := cmp.Diff(before, bills(t, out)); diff != "" {
		t.Errorf("a second time they differ: %s", diff)
	}
	for image, from := range map[string][]string{
		"wrapper": {"-tags=nethttpomithttp2", "koordinator.io/koordinator/cmd/koordinator", "koordinator.io/koordinator/cmd/koordinator-net"},
		"webhook": {"koordinator.io/koordinator/cmd/webhook"},
	} {
		for _, architecture := range []string{"amd64", "arm64"} {
			text := before[fmt.Sprintf("%s-linux-%s.cdx.json", image, architecture)]
			var bill cyclonedx.BOM
			if err := cyclonedx.NewBOMDecoder(strings.NewReader(text), cyclonedx.BOMFileFormatJSON).Decode(&bill); err != nil {
				t.Fatalf("%s for %s: %v", image, architecture, err)
			}
			var got, programs []string
			for _, c := range *bill.Components {
				if c.Type == cyclonedx.ComponentTypeApplication {
					programs = append(programs, c.Name)
				} else {
					got = append(got, c.Name+"@"+c.Version)
				}
			}
			slices.Sort(got)
			if want := slices.DeleteFunc(slices.Clone(from), func(word string) bool { return strings.HasPrefix(word, "-") }); !slices.Equal(want, programs) {
				t.Errorf("%s for %s lists the programs %q, want %q", image, architecture, programs, want)
			}
			if diff := cmp.Diff(modulesOf(t, architecture, from...), got); diff != "" {
				t.Errorf("%s for %s (-want +got): %s", image, architecture, diff)
			}
		}
	}
}

// bills returns the files of a directory.
func bills(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.cdx.json"))
	if err != nil || len(paths) != 4 {
		t.Fatalf("there are %v, want 4 bills: %v", paths, err)
	}
	all := map[string]string{}
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(p)] = string(content)
	}
	return all
}

// modulesOf returns the modules whose packages a program imports, including the standard library.
func modulesOf(t *testing.T, architecture string, from ...string) []string {
	t.Helper()
	const form = `{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}`
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-f", form}, from...)...)
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "CGO_ENABLED=0", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := append(strings.Fields(string(out)), "std@"+strings.TrimPrefix(base[strings.LastIndex(base, ":"):], ":"))
	slices.Sort(all)
	return slices.Compact(all)
}

// testPush pushes the images to a registry.
func testPush(t *testing.T, images string) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	at := strings.TrimPrefix(server.URL, "http://") + "/koordinator"
	makeTarget(t, "push", "IMAGES="+images, "REGISTRY="+at, "VERSION=v0.0.0-test")
	for _, image := range []string{"wrapper", "webhook"} {
		ref, err := name.ParseReference(at + "/" + image + ":v0.0.0-test")
		if err != nil {
			t.Fatal(err)
		}
		pushed, err := remote.Index(ref)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := pushed.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(indexAt(t, filepath.Join(images, image)), manifest); diff != "" {
			t.Errorf("%s (-built +pushed): %s", image, diff)
		}
		digest, err := pushed.Digest()
		if err != nil {
			t.Fatal(err)
		}
		noted, err := os.ReadFile(filepath.Join(images, image+".ref"))
		if want := at + "/" + image + "@" + digest.String(); err != nil || strings.TrimSpace(string(noted)) != want {
			t.Errorf("noted is %q, %v, want %q, to be signed", noted, err, want)
		}
	}
}

// makeTarget runs a target as the release workflow does.
func makeTarget(t *testing.T, args ...string) {
	t.Helper()
	tools, err := readToolchain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "make", args...)
	cmd.Dir = tools.root()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
