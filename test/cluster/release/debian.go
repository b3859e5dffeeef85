package release

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Busybox is the program in the substitute for the busybox image. It must be static.
const Busybox = "/bin/busybox"

// debianPackages maps programs to the Debian packages that contain them. kubelet and CNI
// plugins call most of them by name.
var debianPackages = map[string]string{
	Busybox:               "busybox-static",
	"/usr/lib/cni/bridge": "containernetworking-plugins",
	"conntrack":           "conntrack",
	"etcd":                "etcd-server",
	"ip":                  "iproute2",
	"iptables":            "iptables",
	"mount":               "mount",
	"nft":                 "nftables",
	"nsenter":             "util-linux",
	"runc":                "runc",
}

// policy is a program that invoke-rc.d and deb-systemd-invoke call before they start a
// service, see /usr/share/doc/init-system-helpers.
const policy = "/usr/sbin/policy-rc.d"

// EnsureDebian installs the Debian packages of missing programs. It needs root and apt-get.
// Without them, it returns an error with the missing packages.
func EnsureDebian(ctx context.Context, progress io.Writer) error {
	missing := missingPrograms(debianPackages, installed)
	if len(missing) == 0 {
		return nil
	}
	var packages []string
	for _, program := range missing {
		packages = append(packages, debianPackages[program])
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("find %s: not installed; on Debian, as root: apt-get install --no-install-recommends %s",
			strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	start := time.Now()
	fmt.Fprintf(progress, "installing %s\n", strings.Join(packages, ", "))
	if err := withoutServices(func() error { return install(ctx, packages) }); err != nil {
		return err
	}
	if slices.Contains(packages, "etcd-server") {
		if err := disableEtcd(ctx); err != nil {
			return err
		}
	}
	if missing := missingPrograms(debianPackages, installed); len(missing) > 0 {
		return fmt.Errorf("install %s: still no %s", strings.Join(packages, " "), strings.Join(missing, ", "))
	}
	fmt.Fprintf(progress, "installed in %s\n", time.Since(start).Round(time.Second))
	return nil
}

// missingPrograms returns the keys of wanted for which exists returns false, sorted.
func missingPrograms(wanted map[string]string, exists func(program string) bool) []string {
	var missing []string
	for program := range wanted {
		if !exists(program) {
			missing = append(missing, program)
		}
	}
	slices.Sort(missing)
	return missing
}

// installed reports whether program exists and is usable. Debian has a second busybox,
// which needs libraries that the image would lack.
func installed(program string) bool {
	return exists(program) && (program != Busybox || static(program))
}

// static reports whether program runs without a dynamic loader.
func static(program string) bool {
	file, err := elf.Open(program)
	if err != nil {
		return false
	}
	defer file.Close()
	return !slices.ContainsFunc(file.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// exists reports whether program, a path or a name, exists. It also looks in root's
// directories, because PATH may be a user's.
func exists(program string) bool {
	candidates := []string{program}
	if !filepath.IsAbs(program) {
		candidates = nil
		for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
			candidates = append(candidates, filepath.Join(dir, program))
		}
	}
	return slices.ContainsFunc(candidates, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
	})
}

// install installs packages. It updates the package lists only if the first attempt fails,
// for example because a new image has no lists.
func install(ctx context.Context, packages []string) error {
	args := append([]string{"install", "--yes", "--no-install-recommends"}, packages...)
	err := aptGet(ctx, args...)
	if err == nil {
		return nil
	}
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, args...)
}

// aptGet runs apt-get without questions. It waits for other running instances.
func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, lastLines(string(output), 15))
	}
	return nil
}

// withoutServices calls do while packages may not start services. If the machine already
// has a policy, it stays.
func withoutServices(do func() error) error {
	file, err := os.OpenFile(policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return do()
	}
	if err != nil {
		return err
	}
	defer os.Remove(policy)
	_, err = file.WriteString("#!/bin/sh\nexit 101 # not allowed\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return do()
}

// disableEtcd keeps the newly installed etcd from starting at boot, which only systemd would do.
func disableEtcd(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil //nolint:nilerr // there is no systemd
	}
	if output, err := exec.CommandContext(ctx, "systemctl", "disable", "--now", "etcd.service").CombinedOutput(); err != nil {
		return fmt.Errorf("disable etcd.service: %w: %s", err, output)
	}
	return nil
}
