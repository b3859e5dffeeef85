package lock

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAcquireExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Acquire(t.Context(), path, "the first", &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var said bytes.Buffer
	if _, err := Acquire(ctx, path, "the first", &said); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("second lock: error %v, want a deadline", err)
	}
	if !strings.Contains(said.String(), "waiting for the first") {
		t.Errorf("said %q", said.String())
	}
	unlock()
	if unlock, err = Acquire(t.Context(), path, "the first", &said); err != nil {
		t.Fatalf("lock after unlock: %v", err)
	}
	unlock()
}
