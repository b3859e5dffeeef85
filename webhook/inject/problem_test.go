package inject

import (
	"fmt"
	"strings"
	"testing"
)

func TestNotesAreMadeOnce(t *testing.T) {
	var n Notes
	for range 3 {
		n.refuse("a", "is wrong")
		n.warn("a", "is odd")
	}
	n.refuse("b", "is wrong")
	n.warn("b", "is odd")
	if len(n.Problems) != 2 || len(n.Warnings) != 2 || n.Problems[1].String() != "b: is wrong" || n.Warnings[1] != "b: is odd" {
		t.Errorf("%+v", n)
	}
}

func TestNotesAreBounded(t *testing.T) {
	var n Notes
	for i := range 2 * mostNoted {
		if want := i >= mostNoted; n.full() != want || n.fullOfWarnings() != want {
			t.Fatalf("with %d notes: full %t, of warnings %t, want %t", i, n.full(), n.fullOfWarnings(), want)
		}
		n.refuse("a", fmt.Sprint(i))
		n.warn("a", fmt.Sprint(i))
	}
	if len(n.Problems) != mostNoted || len(n.Warnings) != mostNoted {
		t.Errorf("%d problems and %d warnings, want %d", len(n.Problems), len(n.Warnings), mostNoted)
	}
}

func TestLongMessagesAreShortened(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a short one", "x", "x"},
		{"the longest", strings.Repeat("x", 1000), strings.Repeat("x", 1000)},
		{"a longer one", strings.Repeat("x", 1001), strings.Repeat("x", 1000) + "…"},
		{"a letter of two bytes at the end", strings.Repeat("x", 999) + "ää", strings.Repeat("x", 999) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := Shorten(tt.text); have != tt.want {
				t.Errorf("%q", have)
			}
		})
	}
}
