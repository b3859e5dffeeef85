package sandbox

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"koordinator.io/koordinator/test/cluster/layout"
)

// ServiceRange holds the cluster IPs; the first address is the API server's.
const ServiceRange = "10.96.0.0/16"

// PodRange holds the pod IPs of all nodes.
const PodRange = "10.244.0.0/16"

// NodeIP returns the address of a node. It belongs to the interface node0: on the first
// node, a bridge; on other nodes, a link to this bridge.
func NodeIP(number int) string { return fmt.Sprintf("10.99.0.%d", number) }

// PodSubnet returns the part of [PodRange] that belongs to a node.
func PodSubnet(number int) string { return fmt.Sprintf("10.244.%d.0/24", number) }

// CreateNamespaces creates the network and mount namespaces of a node and pins them, so
// that they exist without a process inside.
func CreateNamespaces(node layout.Node) error {
	if err := preparePins(node); err != nil {
		return err
	}
	thread, prepared, pinned := 0, make(chan error), make(chan struct{})
	go func() {
		// The thread is never unlocked: it cannot be used for anything else afterwards, and
		// ends with the goroutine.
		runtime.LockOSThread()
		thread = unix.Gettid()
		prepared <- isolate(node)
		<-pinned
	}()
	defer close(pinned)
	if err := <-prepared; err != nil {
		return err
	}
	for pin, kind := range map[string]string{node.NetworkNamespace(): "net", node.MountNamespace(): "mnt"} {
		if err := unix.Mount(fmt.Sprintf("/proc/self/task/%d/ns/%s", thread, kind), pin, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin the %s namespace: %w", kind, err)
		}
	}
	return nil
}

// Link connects the network namespaces of a node and of the first node of the cluster. The
// kernel removes the link some time after the end of one of them.
func Link(first, node layout.Node) error {
	inFirst := fmt.Sprintf("link add %[1]s type veth peer name node0 netns %[2]s\nlink set %[1]s master node0\nlink set %[1]s up\n", node.Name, node.NetworkNamespace())
	if err := in(first, func() error { return ip(inFirst) }); err != nil {
		return err
	}
	return in(node, func() error { return ip(addresses(node.Number)) })
}

// Unlink removes the link between a node and the first one, if there is one.
func Unlink(node layout.Node) error {
	return in(node, func() error {
		if _, err := net.InterfaceByName("node0"); err != nil {
			return nil //nolint:nilerr // there is none
		}
		return ip("link delete node0\n")
	})
}

// Route makes the pods of another node reachable from a node.
func Route(from, to layout.Node) error {
	return in(from, func() error {
		return ip(fmt.Sprintf("route replace %s via %s dev node0\n", PodSubnet(to.Number), NodeIP(to.Number)))
	})
}

// in calls do in the network namespace of a node.
func in(node layout.Node, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, like that of CreateNamespaces
		if err := setns(node.NetworkNamespace(), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// addresses returns the commands that set up the interface node0. There is no default
// route, so no packet leaves the namespaces. Processes of the node still need the route to
// the Services, because the kernel looks up a route before kube-proxy's rules rewrite the
// address.
func addresses(number int) string {
	return fmt.Sprintf("addr add %[1]s/24 dev node0\nlink set node0 up\nroute add %[2]s dev node0 src %[1]s\n", NodeIP(number), ServiceRange)
}

// ip runs commands of ip(8) in the network namespace of the calling thread.
func ip(commands string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(commands)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("set up network: %w: %s", err, output)
	}
	return nil
}

// preparePins creates the files over which the namespaces are mounted. They are on a
// private mount. On a shared mount, the mount namespace would appear inside itself, which
// the kernel rejects.
func preparePins(node layout.Node) error {
	if err := os.MkdirAll(node.Namespaces(), 0o700); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", node.Namespaces(), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount %s: %w", node.Namespaces(), err)
	}
	if err := unix.Mount("", node.Namespaces(), "", unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make %s private: %w", node.Namespaces(), err)
	}
	for _, pin := range []string{node.NetworkNamespace(), node.MountNamespace()} {
		if err := os.WriteFile(pin, nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// isolate puts the calling thread into new namespaces and sets them up.
func isolate(node layout.Node) error {
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
	// The pins of other nodes would keep their namespaces alive.
	if err := Unmount(layout.Runs); err != nil {
		return err
	}
	private := node.Private()
	for _, hardWired := range slices.Sorted(maps.Keys(private)) {
		if err := bind(private[hardWired], hardWired); err != nil {
			return err
		}
	}
	commands := "link set lo up\n"
	// With a fixed address, other nodes can reach the bridge whatever is connected to it.
	if node.Number == 1 {
		commands += "link add node0 address 02:00:00:00:00:01 type bridge\n" + addresses(1)
	}
	if err := ip(commands); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}

// Enter moves the calling program into the cgroup and namespaces of a node and replaces it
// by argv. It returns only in case of an error.
func Enter(node layout.Node, argv []string) error {
	runtime.LockOSThread()
	group, err := OpenCgroup(node.Cgroup)
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
	if err := setns(node.NetworkNamespace(), unix.CLONE_NEWNET); err != nil {
		return err
	}
	if err := setns(node.MountNamespace(), unix.CLONE_NEWNS); err != nil {
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
