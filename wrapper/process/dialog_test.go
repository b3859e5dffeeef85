package process

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// converse runs a shell script with an input, and returns its output.
func converse(ctx context.Context, t *testing.T, input, script string) (printed []string, code int, err error) {
	t.Helper()
	d, err := NewDialog([]byte(input))
	if err != nil {
		t.Fatal(err)
	}
	c := Command{Argv: []string{"sh", "-c", script}, Env: os.Environ(), Dialog: d}
	code, err = Converse(ctx, c, func(line []byte) error {
		printed = append(printed, string(line))
		if string(line) == "wrong" {
			return errWrong
		}
		return nil
	})
	return printed, code, err
}

var errWrong = errors.New("a wrong line")

func TestADialog(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct {
		name, input, script string
		printed             []string
		code                int
	}{
		{name: "the input is read to its end", input: "a\nb", script: "cat", printed: []string{"a", "b"}},
		{name: "more than a pipe holds", input: long, script: "cat", printed: []string{long}},
		{name: "the input is not read", input: long, script: "exec <&-; echo over; exit 3", printed: []string{"over"}, code: 3},
		{name: "nothing is printed", script: "exit 4", code: 4},
		{name: "the pipes block as programs expect", script: "grep -c 'flags:.*04' /proc/self/fdinfo/0 /proc/self/fdinfo/1 | cut -d: -f2", printed: []string{"0", "0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			printed, code, err := converse(t.Context(), t, tt.input, tt.script)
			if err != nil || code != tt.code || !slices.Equal(printed, tt.printed) {
				t.Errorf("code %d, error %v, printed %.100q", code, err, printed)
			}
		})
	}
}

func TestADialogsErrors(t *testing.T) {
	t.Run("a wrong line ends the program", func(t *testing.T) {
		printed, _, err := converse(t.Context(), t, "", "echo wrong; sleep 1000")
		if !errors.Is(err, errWrong) || len(printed) != 1 {
			t.Errorf("error %v, printed %q", err, printed)
		}
	})
	t.Run("the context ends the program", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, code, err := converse(ctx, t, "", "sleep 1000"); err != nil || code != 128+int(syscall.SIGKILL) {
			t.Errorf("code %d, error %v", code, err)
		}
	})
	t.Run("a program that is not there", func(t *testing.T) {
		d, err := NewDialog(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := Command{Argv: []string{"name"}, Path: "/no/such/program", Dialog: d}
		_, err = Converse(t.Context(), c, nil)
		if want := `start "name" (/no/such/program): no such file`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
		if err := d.lines.Close(); err == nil {
			t.Error("a pipe was left open")
		}
	})
}

func TestAProgramsNameAndItsFile(t *testing.T) {
	d, err := NewDialog(nil)
	if err != nil {
		t.Fatal(err)
	}
	var printed []string
	c := Command{Argv: []string{"busy", "-c", "echo $0; tr '\\0' ' ' </proc/$$/cmdline"}, Path: "/bin/sh", Dialog: d}
	if _, err := Converse(t.Context(), c, func(line []byte) error { printed = append(printed, string(line)); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(printed) != 2 || printed[0] != "busy" || !strings.HasPrefix(printed[1], "busy -c ") {
		t.Errorf("printed %q", printed)
	}
}
