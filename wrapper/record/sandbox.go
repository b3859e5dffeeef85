package record

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// sandbox tells the pod's present sandbox from earlier ones, whose records the
// volume may still hold. It is the cookie of the network namespace
// (socket(7), SO_NETNS_COOKIE), which the containers of a pod share, which is
// made with their sandbox, and which the kernel never gives twice, as it does
// the inode numbers of namespaces. It asks for no right and needs no file.
//
// 0 is not known: a kernel before Linux 5.14, or a container that may open no
// socket. In the node's own network namespace (hostNetwork) it is the same
// for every sandbox.
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

// stale tells whether a record is of an earlier sandbox of the pod. Nobody of
// that one lives.
func (s State) stale() bool {
	return s.Sandbox != 0 && sandbox() != 0 && s.Sandbox != sandbox()
}
