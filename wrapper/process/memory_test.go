package process

import (
	"slices"
	"strings"
	"testing"
)

func TestProgramMappings(t *testing.T) {
	const smaps = `00400000-00500000 r-xp 00000000 00:21 123   /koordinator/bin/koordinator
Size:               1024 kB
Anonymous:             0 kB
00500000-00600000 r--p 00100000 00:21 123   /koordinator/bin/koordinator
Anonymous:             4 kB
00600000-00700000 rw-p 00200000 00:21 123   /koordinator/bin/koordinator
Anonymous:             0 kB
00700000-00800000 r--p 00000000 00:21 124   /lib/other
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7ffc000000000000-7ffc000000001000 r--p 00300000 00:21 123   /koordinator/bin/koordinator
Anonymous:             0 kB
VmFlags: rd mr mw me
`
	want := []mapping{{0x400000, 0x500000}, {0x7ffc000000000000, 0x7ffc000000001000}}
	if got := programMappings(strings.NewReader(smaps), "/koordinator/bin/koordinator"); !slices.Equal(got, want) {
		t.Fatalf("have %x, want %x", got, want)
	}
}
