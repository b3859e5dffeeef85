// Command guest is the first process of the virtual machine of test/vm. It runs the test
// programs below /src and switches the machine off.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts are the file systems that tests need.
var mounts = []struct{ fstype, dir, options string }{
	{"proc", "/proc", ""},
	{"sysfs", "/sys", ""},
	{"devtmpfs", "/dev", ""},
	{"devpts", "/dev/pts", "ptmxmode=0666"},
	{"tmpfs", "/dev/shm", ""},
	{"tmpfs", "/tmp", ""},
	{"tmpfs", "/run", ""},
	{"cgroup2", "/sys/fs/cgroup", ""},
}

// elsewhere matches tests whose results do not depend on the machine: explorations of the
// state machine, which take hours here, and a test that lists imports with go.
const elsewhere = "Explore|TestTheTwoPrograms"

func main() {
	failed, err := run()
	if err != nil {
		fmt.Println("guest:", err)
	} else {
		fmt.Printf("packages that failed: %d\n", failed)
	}
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// run prepares the machine, runs all tests, and returns the number of packages that failed.
func run() (int, error) {
	if err := leaveInitramfs(); err != nil {
		return 0, err
	}
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return 0, err
		}
		if err := unix.Mount(m.fstype, m.dir, m.fstype, 0, m.options); err != nil {
			return 0, fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	for _, link := range [][2]string{{"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"}, {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			return 0, err
		}
	}
	for _, args := range [][]string{{"ip", "link", "set", "lo", "up"}, {"hostname", "vm"}} {
		if out, err := exec.Command("/bin/busybox", args...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("busybox %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	var programs []string
	err := filepath.WalkDir("/src", func(path string, entry fs.DirEntry, err error) error {
		if entry.Name() == "vm.test" {
			programs = append(programs, path)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	failed := 0
	for _, program := range programs {
		fmt.Printf("\n=== %s\n", strings.TrimPrefix(filepath.Dir(program), "/src/"))
		cmd := exec.Command(program, "-test.timeout=2h", "-test.skip="+elsewhere, "-test.run="+os.Getenv("TESTS"))
		cmd.Dir = filepath.Dir(program)
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "POD_TEST_BINARY=/programs/koordinator"}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		if err := cmd.Run(); err != nil {
			fmt.Println(err)
			failed++
		}
	}
	return failed, nil
}

// leaveInitramfs moves the files to another file system and makes it the root, because
// pivot_root(2) does not work in an initramfs, and containers need it.
func leaveInitramfs() error {
	const root, devices = "/moved", "/dev"
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("devtmpfs", devices, "devtmpfs", 0, ""); err != nil { // os/exec needs /dev/null
		return fmt.Errorf("mount %s: %w", devices, err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=90%"); err != nil {
		return fmt.Errorf("mount %s: %w", root, err)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := "/" + e.Name(); name == root || name == devices {
			continue
		}
		if out, err := exec.Command("/bin/busybox", "cp", "-a", "/"+e.Name(), root).CombinedOutput(); err != nil {
			return fmt.Errorf("copy /%s: %w: %s", e.Name(), err, out)
		}
	}
	if err := os.Mkdir(root+devices, 0o755); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	return os.Chdir("/")
}
