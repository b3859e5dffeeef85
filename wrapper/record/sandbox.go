package record

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// sandbox returns a number that distinguishes the pod's present sandbox from
// earlier ones, whose records may still be on the volume. It is the cookie of
// the network namespace (socket(7), SO_NETNS_COOKIE). The containers of a pod
// share that namespace, it is created with their sandbox, and the kernel never
// reuses a cookie, unlike the inode numbers of namespaces. Reading it requires
// no privilege and no file.
//
// 0 means not known: the kernel is older than Linux 5.14, or the container may
// not open sockets. In the node's own network namespace (hostNetwork) the
// cookie is the same for every sandbox.
var sandbox = sync.OnceValue(func() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer os.NewFile(uintptr(fd), "socket").Close()
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return cookie
})

// stale reports whether a record is from an earlier sandbox of the pod, in
// which nothing lives any longer.
func (s State) stale() bool {
	return s.Sandbox != 0 && sandbox() != 0 && s.Sandbox != sandbox()
}
