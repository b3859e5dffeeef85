package sandbox

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/test/cluster/layout"
)

// NodeIP is the address of the only node, on a bridge inside the network namespace.
const NodeIP = "10.99.0.1"

// ServiceRange holds the cluster IPs; the first address is the API server's.
const ServiceRange = "10.96.0.0/16"

// network sets up the network namespace with ip-link(8) batch commands. There is no default
// route, so no packet leaves the namespace. Processes of the node still need the route to
// the Services, because the kernel looks up a route before kube-proxy's rules rewrite the
// address.
const network = `link set lo up
link add node0 type bridge
addr add ` + NodeIP + `/32 dev node0
link set node0 up
route add ` + ServiceRange + ` dev node0 src ` + NodeIP + `
`

// CreateNamespaces creates the network and mount namespaces of the cluster and pins them,
// so that they exist without a process inside.
func CreateNamespaces(l layout.Layout) error {
	if err := preparePins(l); err != nil {
		return err
	}
	thread, prepared, pinned := 0, make(chan error), make(chan struct{})
	go func() {
		// The thread is never unlocked: it cannot be used for anything else afterwards, and
		// ends with the goroutine.
		runtime.LockOSThread()
		thread = unix.Gettid()
		prepared <- isolate(l.Private())
		<-pinned
	}()
	defer close(pinned)
	if err := <-prepared; err != nil {
		return err
	}
	for pin, kind := range map[string]string{l.NetworkNamespace(): "net", l.MountNamespace(): "mnt"} {
		if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/%s", thread, kind), pin, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin the %s namespace: %w", kind, err)
		}
	}
	return nil
}

// preparePins creates the files over which the namespaces are mounted. They are on a
// private mount. On a shared mount, the mount namespace would appear inside itself, which
// the kernel rejects.
func preparePins(l layout.Layout) error {
	if err := os.MkdirAll(l.Namespaces(), 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", l.Namespaces(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount %s: %w", l.Namespaces(), err)
	}
	if err := unix.Mount("", l.Namespaces(), "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make %s private: %w", l.Namespaces(), err)
	}
	for _, pin := range []string{l.NetworkNamespace(), l.MountNamespace()} {
		if err := os.WriteFile(pin, nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// isolate puts the calling thread into new namespaces and sets them up. private is the
// result of [layout.Layout.Private].
func isolate(private map[string]string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("create namespaces: %w", err)
	}
	// First, the mounts become slaves, so that no mount reaches the host; then they become
	// shared again, because pods may need mount propagation.
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", propagation|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("set mount propagation: %w", err)
		}
	}
	for _, hardWired := range slices.Sorted(maps.Keys(private)) {
		if err := bind(private[hardWired], hardWired); err != nil {
			return err
		}
	}
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(network)
	if output, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("set up network: %w: %s", err, output)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// Enter moves the calling program into the cluster's cgroup and namespaces and replaces it
// by argv. It returns only in case of an error.
func Enter(l layout.Layout, argv []string) error {
	runtime.LockOSThread()
	group, err := OpenCgroup(l.Cgroup())
	if err != nil {
		return err
	}
	if err := group.Join(); err != nil {
		return err
	}
	// The kernel does not let a thread change its mount namespace while it shares its
	// working directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("detach from the working directory: %w", err)
	}
	if err := setns(l.NetworkNamespace(), unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := setns(l.MountNamespace(), unix.CLONE_NEWNS); err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", path, unix.Exec(path, argv, os.Environ()))
}

// setns moves the calling thread into the namespace that is pinned at path.
func setns(path string, kind int) error {
	pin, err := os.Open(path)
	if err != nil {
		return err
	}
	defer pin.Close()
	if err := unix.Setns(int(pin.Fd()), kind); err != nil {
		return fmt.Errorf("enter namespace %s: %w", filepath.Base(path), err)
	}
	return nil
}
