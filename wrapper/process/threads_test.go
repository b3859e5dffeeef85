package process

import (
	"strings"
	"testing"
)

// TestA2ReservedThreadsAreEnough makes system calls after the command's start. A
// new thread would end the wrapper at the process limit.
func TestA2ReservedThreadsAreEnough(t *testing.T) {
	for range 10 {
		out, err := newActor(t, "threads", nil).Output()
		if err != nil {
			t.Fatal(err)
		}
		before, after, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		if before == "" || before != after {
			t.Errorf("%s threads before and %s during %d system calls", before, after, blocked)
		}
	}
}
