package layout

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for _, right := range []string{"a", "koordinator", "e2e", "a-b", "abcdefghijklmnopqrst"} {
		if _, err := New(right); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []string{"", "A", "1a", "a-", "-a", "a/b", "..", "a b", "a.b", "abcdefghijklmnopqrstu"} {
		if _, err := New(wrong); err == nil {
			t.Errorf("name %q is accepted", wrong)
		}
	}
}

func TestNodesShareNothing(t *testing.T) {
	a, err := New("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := New("ab")
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]string{}
	for _, cluster := range []Layout{a, b} {
		for _, node := range []Node{cluster.Node(1), cluster.Node(2)} {
			for hardWired, own := range node.Private() {
				if other, shared := owners[own]; shared {
					t.Errorf("%s of %s is shared with %s: %s", hardWired, node.Run, other, own)
				}
				owners[own] = node.Run
				if !strings.HasPrefix(own, cluster.Run+"/") && !strings.HasPrefix(own, cluster.Data+"/") {
					t.Errorf("%s would stay behind", own)
				}
			}
		}
	}
	if a.Lock() == b.Lock() || strings.HasPrefix(a.Lock(), a.Run+"/") {
		t.Errorf("lock %s of %s", a.Lock(), a.Run)
	}
}

func TestSocketPathFitsTheKernel(t *testing.T) {
	longest, err := New(strings.Repeat("a", 20))
	if err != nil {
		t.Fatal(err)
	}
	// containerd appends .ttrpc for a second socket; unix(7) allows 108 bytes including the
	// final zero.
	if path := longest.Node(99).ContainerdSocket() + ".ttrpc"; len(path) > 107 {
		t.Errorf("%s has %d bytes", path, len(path))
	}
}
