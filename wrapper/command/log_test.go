package command

import (
	"bytes"
	"os"
	"syscall"
	"testing"
)

// stuck is a writer whose reader reads nothing.
type stuck struct{ over <-chan struct{} }

func (s stuck) Write(b []byte) (int, error) { <-s.over; return len(b), nil }

func TestA20ASignalEndsARefusalThatNobodyReads(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	w := newLogWriter(stuck{over})
	if _, err := w.Write([]byte("no\n")); err != nil {
		t.Fatal(err)
	}
	w.flushUntil(nil, signals) // nothing else ends it
	if len(signals) != 0 {
		t.Error("the signal was not looked at")
	}
}

func TestARefusalIsWritten(t *testing.T) {
	var out bytes.Buffer
	c := command{stderr: &out}
	c.complain("no such thing", nil)
	if out.String() != "koordinator: no such thing\n" {
		t.Errorf("written: %q", out.String())
	}
}
