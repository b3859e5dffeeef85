package compat

import (
	"strings"
	"testing"
)

func TestOwnContainer(t *testing.T) {
	const (
		root  = "2046 1889 0:233 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/snapshots/12/fs\n"
		hosts = "2057 2046 8:1 /var/lib/kubelet/pods/8f3e/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n"
		end   = "2058 2046 8:1 /var/lib/kubelet/pods/8f3e/containers/main-app/0c5d2b8e /dev/termination-log rw,relatime - ext4 /dev/sda1 rw\n"
	)
	for _, tt := range []struct {
		name   string
		mounts string
		want   string
	}{
		{name: "the termination message's mount", mounts: root + hosts + end, want: "main-app"},
		{name: "the kubelet's directory on a volume of its own, the message elsewhere", mounts: root + "1 2 0:3 /pods/8f3e/containers/a/ffffffff /tmp/end rw - xfs /dev/sdb rw\n", want: "a"},
		{name: "the same twice", mounts: end + end, want: "main-app"},
		{name: "none", mounts: root + hosts},
		{name: "two", mounts: end + strings.Replace(end, "main-app", "other", 1)},
		{name: "a directory of a hostPath volume", mounts: "1 2 0:3 /var/lib/kubelet/pods/8f3e/containers/a /x rw - xfs /dev/sdb rw\n"},
		{name: "another file", mounts: "1 2 0:3 /var/lib/kubelet/pods/8f3e/containers/a/whatever /x rw - xfs /dev/sdb rw\n"},
		{name: "no name", mounts: "1 2 0:3 /var/lib/kubelet/pods/8f3e/containers/A_B/0c5d2b8e /x rw - xfs /dev/sdb rw\n"},
		{name: "nonsense", mounts: "\n1 2 3\n/ / / / /\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, ok := OwnContainer(strings.NewReader(tt.mounts))
			if have != tt.want || ok != (tt.want != "") {
				t.Errorf("have %q, %v, want %q", have, ok, tt.want)
			}
		})
	}
}
