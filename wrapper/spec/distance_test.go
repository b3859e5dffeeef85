package spec

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b string
		want int
	}{
		{"nothing and nothing", "", "", 0},
		{"a name and itself", "cloud-sql-proxy", "cloud-sql-proxy", 0},
		{"every letter is inserted", "", "proxy", 5},
		{"one letter more", "status", "sstatus", 1},
		{"one letter less", "install", "instal", 1},
		{"one letter replaced", "gate", "gage", 1},
		{"two letters exchanged are two replaced", "status", "sttaus", 2},
		{"one replaced and one inserted at the end", "main", "naine", 2},
		{"nothing in common", "abc", "xyz", 3},
		{"the textbook's", "kitten", "sitting", 3},
		{"and its other one", "saturday", "sunday", 3},
		{"a common end", "db-proxy", "proxy", 3},
		{"a common beginning", "proxy", "proxy-db", 3},
		{"64 letters are compared", strings.Repeat("a", 64), strings.Repeat("a", 63) + "b", 1},
		{"65 are not, the first name", strings.Repeat("a", 65), "a", 64},
		{"65 are not, the second name", "a", strings.Repeat("a", 65), 64},
		{"not even with themselves", strings.Repeat("a", 65), strings.Repeat("a", 65), 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have := Distance(tt.a, tt.b); have != tt.want {
				t.Errorf("Distance(%q, %q) = %d, want %d", tt.a, tt.b, have, tt.want)
			}
			if have := Distance(tt.b, tt.a); have != tt.want {
				t.Errorf("Distance(%q, %q) = %d, want %d", tt.b, tt.a, have, tt.want)
			}
		})
	}
}

// TestDistanceIsThatOfTheDefinition compares Distance with the definition,
// which takes exponential time.
func TestDistanceIsThatOfTheDefinition(t *testing.T) {
	var definition func(a, b string) int
	definition = func(a, b string) int {
		switch {
		case a == "" || b == "":
			return len(a) + len(b)
		case a[0] == b[0]:
			return definition(a[1:], b[1:])
		}
		return 1 + min(definition(a[1:], b[1:]), definition(a[1:], b), definition(a, b[1:]))
	}
	random := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		letters := make([]byte, random.IntN(6))
		for i := range letters {
			letters[i] = "ab-"[random.IntN(3)]
		}
		return string(letters)
	}
	for range 2000 {
		a, b := word(), word()
		if have, want := Distance(a, b), definition(a, b); have != want {
			t.Fatalf("Distance(%q, %q) = %d, want %d", a, b, have, want)
		}
	}
}
