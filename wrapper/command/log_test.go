package command

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// stuck is a writer whose reader is stuck.
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
	w.flushUntil(nil, signals) // only a signal ends it
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

func TestLinesAreLoggedFromTheLevelOn(t *testing.T) {
	for level, want := range map[string]string{"error": "error", "info": "info error", "debug": "debug info error", "": "info error"} {
		var out bytes.Buffer
		log := logger(&out, spec.Spec{Container: "main", LogLevel: level})
		log.Debug("debug")
		log.Info("info")
		log.Error("error")
		var have []string
		line := regexp.MustCompile(`^time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z level=[A-Z]+ msg=([a-z]+) container=main from=koordinator$`)
		for text := range strings.Lines(out.String()) {
			parts := line.FindStringSubmatch(strings.TrimSpace(text))
			if parts == nil {
				t.Fatalf("logged %q", text)
			}
			have = append(have, parts[1])
		}
		if strings.Join(have, " ") != want {
			t.Errorf("%q: logged %q, want %q", level, have, want)
		}
	}
	var out bytes.Buffer
	logger(&out, spec.Default()).Info("x")
	if strings.Contains(out.String(), "container=") {
		t.Errorf("a container without a name is named: %s", out.String())
	}
}

func TestOnlyTheTimeOfALineIsRewritten(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	at := slog.Time("time", time.Date(2030, 1, 2, 3, 4, 5, 600, zone))
	if have := inUTC(nil, at).Value.String(); have != "2030-01-02T02:04:05.000000600Z" {
		t.Errorf("have %s", have)
	}
	for _, a := range []slog.Attr{slog.Time("since", at.Value.Time()), slog.String("msg", "time")} {
		if have := inUTC(nil, a); !have.Equal(a) {
			t.Errorf("%s has become %s", a, have)
		}
	}
	if have := inUTC([]string{"group"}, at); !have.Equal(at) {
		t.Errorf("a time within a group has become %s", have)
	}
}

// gated is a writer that reports its first call, and writes nothing until goOn
// is closed.
type gated struct {
	called chan<- struct{}
	goOn   <-chan struct{}
	to     *bytes.Buffer
}

func (g gated) Write(b []byte) (int, error) {
	select {
	case g.called <- struct{}{}:
	default: // reported before
	}
	<-g.goOn
	return g.to.Write(b)
}

// TestLinesThatFindNoRoomAreCounted uses a reader that is stuck with the first
// line until more lines have arrived than fit.
func TestLinesThatFindNoRoomAreCounted(t *testing.T) {
	called, goOn := make(chan struct{}, 1), make(chan struct{})
	var out bytes.Buffer
	w := newLogWriter(gated{called, goOn, &out})
	write := func(line string) {
		if n, err := fmt.Fprintln(w, line); err != nil || n != len(line)+1 {
			t.Fatalf("wrote %d bytes of %q, %v", n, line, err)
		}
	}
	write("line 0")
	<-called
	for n := range logLines + 11 {
		write(fmt.Sprintf("line %d", n+1))
	}
	close(goOn)
	w.flushUntil(nil, nil)
	var want strings.Builder
	for n := range logLines + 1 {
		fmt.Fprintf(&want, "line %d\n", n)
	}
	if out.String() != want.String() {
		t.Fatalf("written: %q", out.String())
	}
	write("after")
	write("last")
	w.flushUntil(nil, nil)
	if have := strings.TrimPrefix(out.String(), want.String()); have != "koordinator: 11 log lines dropped\nafter\nlast\n" {
		t.Errorf("written in the end: %q", have)
	}
}

// TestALineIsCopied changes the bytes of a line after the call, like slog.
func TestALineIsCopied(t *testing.T) {
	goOn := make(chan struct{})
	var out bytes.Buffer
	w := newLogWriter(gated{nil, goOn, &out})
	line := []byte("first\n")
	_, _ = w.Write(line)
	copy(line, "other")
	close(goOn)
	w.flushUntil(nil, nil)
	if out.String() != "first\n" {
		t.Errorf("written: %q", out.String())
	}
}
