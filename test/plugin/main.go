// Command plugin builds kubectl koordinator for several platforms, packs each build into an
// archive, and writes the manifest with which krew installs it.
//
//	go run ./test/plugin [-o DIR] [-version V] [-platforms OS/ARCH,…] [-source URL] [-created SECONDS]
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// every lists all platforms of the plugin.
const every = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

// build holds the options of a build.
type build struct {
	dir, version, source string
	created              time.Time
}

func main() {
	var b build
	flag.StringVar(&b.dir, "o", "bin/plugin", "directory for the programs, archives and the manifest")
	flag.StringVar(&b.version, "version", "dev", "version that the program reports")
	flag.StringVar(&b.source, "source", "", "URL of the repository, from whose releases krew downloads")
	platforms := flag.String("platforms", "", "os/architecture, separated by commas; default: "+every)
	created := flag.Int64("created", 0, "time of the files in the archives, in seconds since 1970")
	flag.Parse()
	b.created = time.Unix(*created, 0).UTC()
	if err := b.run(strings.Split(cmp.Or(*platforms, every), ",")); err != nil {
		fmt.Fprintln(os.Stderr, "plugin:", err)
		os.Exit(1)
	}
}

// run builds for each platform and writes the manifest.
func (b build) run(platforms []string) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	var all []archive
	for _, platform := range platforms {
		goos, arch, ok := strings.Cut(platform, "/")
		if !ok {
			return fmt.Errorf("platform %q: want os/architecture", platform)
		}
		a, err := b.pack(goos, arch)
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		all = append(all, a)
	}
	text, err := b.manifest(all)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "koordinator.yaml"), text, 0o644)
}

// pack builds for one platform and packs the program.
func (b build) pack(goos, arch string) (archive, error) {
	a := archive{os: goos, arch: arch, program: "kubectl-koordinator"}
	if goos == "windows" {
		a.program += ".exe"
	}
	path := filepath.Join(b.dir, goos+"-"+arch, a.program)
	cmd := exec.Command("go", "build", "-trimpath",
		"-ldflags", "-s -w -X koordinator.io/koordinator/wrapper/spec.Release="+b.version, "-o", path, "./cmd/kubectl-koordinator")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return a, fmt.Errorf("go build: %w\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return a, err
	}
	license, err := os.ReadFile("LICENSE")
	if err != nil {
		return a, err
	}
	var packed bytes.Buffer
	if err := tarball(&packed, b.created, map[string][]byte{a.program: program, "LICENSE": license}); err != nil {
		return a, err
	}
	a.name = fmt.Sprintf("kubectl-koordinator_%s_%s.tar.gz", goos, arch)
	a.sum = fmt.Sprintf("%x", sha256.Sum256(packed.Bytes()))
	return a, os.WriteFile(filepath.Join(b.dir, a.name), packed.Bytes(), 0o644)
}
