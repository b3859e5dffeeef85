// Command vm runs the wrapper's tests in a virtual machine with an arm64 processor. The
// machine has its own kernel and clock, so these tests also include those with the build tag
// vm, which set the clock.
//
//	go run ./test/vm [-run REGEXP] [PACKAGE…]
//
// By default, it runs the tests of all packages below wrapper, and of test/pod. -run selects
// tests by name, as for go test; the expression must not contain blanks. It requires
// Debian. It downloads a kernel and programs for arm64 from Debian's archive, and installs
// qemu-system-arm if it is missing. KOORDINATOR_CACHE is the directory for the downloads.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// defaults are the packages whose tests run by default.
var defaults = []string{"./wrapper/...", "./test/pod"}

// emulator is the program that emulates the machine, in a Debian package of another name.
const (
	emulator        = "qemu-system-aarch64"
	emulatorPackage = "qemu-system-arm"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tests := flag.String("run", "", "regular expression that selects tests")
	flag.Parse()
	if err := run(ctx, *tests, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "vm:", err)
		os.Exit(1)
	}
}

// run builds the machine's file system and starts the machine.
func run(ctx context.Context, tests string, packages []string) error {
	if len(packages) == 0 {
		packages = defaults
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	kernel, programs, err := download(ctx, cache)
	if err != nil {
		return err
	}
	if err := ensureEmulator(ctx); err != nil {
		return err
	}
	for name, value := range map[string]string{"GOOS": "linux", "GOARCH": "arm64", "CGO_ENABLED": "0"} {
		if err := os.Setenv(name, value); err != nil { // go builds everything for the machine from here on
			return err
		}
	}
	root, err := os.MkdirTemp("", "koordinator-vm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := fill(ctx, filepath.Join(root, "root"), programs, packages); err != nil {
		return err
	}
	image := filepath.Join(root, "initramfs.gz")
	if err := writeArchive(filepath.Join(root, "root"), image); err != nil {
		return err
	}
	return boot(ctx, kernel, image, tests)
}

// cacheDir returns the directory for downloads.
func cacheDir() (string, error) {
	base := os.Getenv("KOORDINATOR_CACHE")
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(user, "koordinator")
	}
	return filepath.Abs(filepath.Join(base, "vm"))
}

// ensureEmulator installs the emulator if it is missing.
func ensureEmulator(ctx context.Context) error {
	if _, err := exec.LookPath(emulator); err == nil {
		return nil
	}
	return command(ctx, "", "apt-get", "install", "-y", "-q", "--no-install-recommends", emulatorPackage)
}

// command runs a program in a directory. Its output goes to stderr.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(append([]string{name}, args...), " "), err)
	}
	return nil
}

// verdict starts the line with which the guest reports the result: the number of packages
// whose tests failed.
const verdict = "packages that failed: "

// boot runs the machine, and prints what it writes to its console. The kernel passes TESTS to
// the guest program as a variable.
func boot(ctx context.Context, kernel, image, tests string) error {
	cmd := exec.CommandContext(ctx, emulator, "-machine", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "4096",
		"-nographic", "-no-reboot", "-net", "none", "-kernel", kernel, "-initrd", image,
		"-append", "console=ttyAMA0 panic=-1 quiet cgroup_no_v1=all TESTS="+tests)
	console, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	result, scanErr := watch(console, os.Stdout)
	if err := errors.Join(scanErr, cmd.Wait()); err != nil {
		return err
	}
	switch result {
	case "0":
		return nil
	case "":
		return errors.New("the machine ended before its tests")
	}
	return errors.New(verdict + result)
}

// watch copies the console to out, and returns the verdict.
func watch(console io.Reader, out io.Writer) (string, error) {
	lines := bufio.NewReader(console)
	result := ""
	for {
		line, err := lines.ReadString('\n')
		if text, found := strings.CutPrefix(strings.TrimSpace(line), verdict); found {
			result = text
		}
		if _, err := io.WriteString(out, line); err != nil {
			return result, err
		}
		if errors.Is(err, io.EOF) {
			return result, nil
		}
		if err != nil {
			return result, err
		}
	}
}
