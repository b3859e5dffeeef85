package sandbox

import (
	"slices"
	"testing"
)

// mountinfo resembles that of a host with a cluster, another cluster with a different name,
// and cgroups of version 1 and 2.
const mountinfo = `27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 23 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
31 23 0:27 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
40 27 0:40 / /run/koordinator-cluster/a/ns rw,nosuid - tmpfs tmpfs rw,mode=700
41 40 0:4 net:[4026532000] /run/koordinator-cluster/a/ns/net rw - nsfs nsfs rw
42 27 0:40 / /run/koordinator-cluster/ab/ns rw,nosuid - tmpfs tmpfs rw,mode=700
43 27 254:0 /x /var/lib/koordinator-cluster/a/with\040blank rw shared:2 master:1 - ext4 /dev/vda rw
`

func TestParseMounts(t *testing.T) {
	got, err := parseMounts(mountinfo)
	if err != nil {
		t.Fatal(err)
	}
	want := []mount{
		{"/", "ext4"},
		{"/sys/fs/cgroup/memory", "cgroup"},
		{"/sys/fs/cgroup/unified", "cgroup2"},
		{"/run/koordinator-cluster/a/ns", "tmpfs"},
		{"/run/koordinator-cluster/a/ns/net", "nsfs"},
		{"/run/koordinator-cluster/ab/ns", "tmpfs"},
		{"/var/lib/koordinator-cluster/a/with blank", "ext4"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, wrong := range []string{"27 1 254:0 / / rw ext4\n", "27 1 - ext4 x rw\n", "1 2 3 4 / rw - \n"} {
		if got, err := parseMounts(wrong); err == nil {
			t.Errorf("%q gives %v", wrong, got)
		}
	}
}

func TestBelow(t *testing.T) {
	all, err := parseMounts(mountinfo)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		dirs []string
		want []string
	}{
		{
			name: "innermost first, and not those of a longer name",
			dirs: []string{"/run/koordinator-cluster/a"},
			want: []string{"/run/koordinator-cluster/a/ns/net", "/run/koordinator-cluster/a/ns"},
		},
		{
			name: "several folders",
			dirs: []string{"/run/koordinator-cluster/ab", "/var/lib/koordinator-cluster/a"},
			want: []string{"/var/lib/koordinator-cluster/a/with blank", "/run/koordinator-cluster/ab/ns"},
		},
		{name: "a mount point itself", dirs: []string{"/run/koordinator-cluster/ab/ns"}, want: []string{"/run/koordinator-cluster/ab/ns"}},
		{name: "nothing", dirs: []string{"/run/koordinator-cluster/b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := below(all, test.dirs...); !slices.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestOwnMountsCanBeRead(t *testing.T) {
	if got, err := Mounts("/proc"); err != nil || !slices.Contains(got, "/proc") {
		t.Errorf("got %q, error %v", got, err)
	}
}
