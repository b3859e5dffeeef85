package compat

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Times for the tests.
var (
	born = time.Date(2020, 5, 6, 7, 8, 9, 123456789, time.UTC)
	died = time.Date(2020, 5, 6, 9, 8, 10, 0, time.FixedZone("", 2*60*60))
)

// stones are texts in the form that kubexit v0.4 and sigs.k8s.io/yaml write.
var stones = []struct {
	name string
	text string
	want Tombstone
}{
	{name: "nothing", text: "{}\n"},
	{name: "born", text: "Born: \"2020-05-06T07:08:09.123456789Z\"\n", want: Tombstone{Born: born}},
	{
		name: "died, in another zone and on a full second",
		text: "Born: \"2020-05-06T07:08:09.123456789Z\"\nDied: \"2020-05-06T09:08:10+02:00\"\nExitCode: 0\n",
		want: Tombstone{Born: born, Died: died, ExitCode: new(0)},
	},
	{
		name: "kx-02 died of a signal",
		text: "Born: \"2020-05-06T07:08:09.123456789Z\"\nDied: \"2020-05-06T09:08:10+02:00\"\nExitCode: -1\n",
		want: Tombstone{Born: born, Died: died, ExitCode: new(-1)},
	},
	{
		name: "never born",
		text: "Died: \"2020-05-06T09:08:10+02:00\"\nExitCode: 143\n",
		want: Tombstone{Died: died, ExitCode: new(143)},
	},
}

func TestTombstonesAsKubexitWritesThem(t *testing.T) {
	for _, tt := range stones {
		t.Run(tt.name, func(t *testing.T) {
			have, err := ParseTombstone([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("read (-want +have):\n%s", diff)
			}
			if diff := cmp.Diff(tt.text, string(tt.want.Encode())); diff != "" {
				t.Errorf("written (-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseTombstone(t *testing.T) {
	whole := Tombstone{Born: born, Died: died, ExitCode: new(3)}
	for _, tt := range []struct {
		name string
		text string
		want Tombstone
	}{
		{name: "by hand: no quotes, comments, a document's beginning and end, no last newline", want: whole, text: `---
# of a shell script
Born: 2020-05-06T07:08:09.123456789Z   # at night

Died:   '2020-05-06T09:08:10+02:00' # in the morning
ExitCode: 3
...
Died: yesterday`},
		{name: "other keys, whatever they hold", want: whole, text: `Name: [app
Labels:
  ExitCode: 7
- a: b
born: "2020-05-06T07:08:09.123456789Z"
DIED: "2020-05-06T09:08:10+02:00"
exitCode: 3
`},
		{name: "JSON", want: whole, text: ` {"Born":"2020-05-06T07:08:09.123456789Z", "died":"2020-05-06T09:08:10+02:00", "ExitCode":3, "Name":"x"}`},
		{name: "JSON on several lines", want: Tombstone{ExitCode: new(3)}, text: "{\n\"Born\": null,\n\"ExitCode\": 3\n}\n"},
		{name: "null and nothing", text: "Born: null\nDied: ~ # not yet\nExitCode:\n"},
		{name: "Windows line ends", want: Tombstone{Born: born}, text: "Born: \"2020-05-06T07:08:09.123456789Z\"\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have, err := ParseTombstone([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, have); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestParseTombstoneIsUnknownUntilItParses(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"truncated to be written", ""},
		{"blank", " \n"},
		{"a comment alone", "# soon\n"},
		{"cut in a key", "Bor"},
		{"cut in a time", "Born: \"2020-05-06T07:0"},
		{"cut behind a time", "Born: \"2020-05-06T07:08:09Z"},
		{"a time without a zone", "Died: 2020-05-06T07:08:09\n"},
		{"a time with a blank", "Died: 2020-05-06 07:08:09Z\n"},
		{"a number that is none", "ExitCode: true\n"},
		{"a number in quotes", "ExitCode: \"3\"\n"},
		{"a number with a fraction", "ExitCode: 1.5\n"},
		{"an empty text for a time", "Died: \"\"\n"},
		{"a list", "- Born\n"},
		{"a key twice", "ExitCode: 1\nexitcode: 2\n"},
		{"something behind a quoted value", "Died: \"2020-05-06T07:08:09Z\" x\n"},
		{"an escape", "Died: \"2020-05-06T07:08:09\\x5a\"\n"},
		{"an indented key", " Born: 2020-05-06T07:08:09Z\n"},
		{"a value on the next line", "Died:\n  2020-05-06T07:08:09Z\n"},
		{"no blank behind the colon", "ExitCode:3\n"},
		{"broken JSON", "{\"Born\":"},
		{"a binary file", "\x00\x01"},
		{"too much", "# " + strings.Repeat("x", 64<<10) + "\nExitCode: 3\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if have, err := ParseTombstone([]byte(tt.text)); err == nil {
				t.Errorf("have %+v, want an error", have)
			}
		})
	}
}

func FuzzTombstone(f *testing.F) {
	for _, s := range stones {
		f.Add([]byte(s.text))
	}
	for _, text := range []string{"", "Born: ~\n", "{\"ExitCode\":1}", "---\nDied: 2020-05-06T07:08:09Z # x\n...\n", "a:\n  b\n- c\nExitCode: -1"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		have, err := ParseTombstone(text)
		if err != nil {
			return
		}
		again, err := ParseTombstone(have.Encode())
		if err != nil {
			t.Fatalf("%q is written as %q: %v", text, have.Encode(), err)
		}
		if !bytes.Equal(have.Encode(), again.Encode()) {
			t.Errorf("%q is written as %q, and that as %q", text, have.Encode(), again.Encode())
		}
		if !have.Died.Equal(again.Died) || !have.Born.Equal(again.Born) {
			t.Errorf("%q: have %v, then %v", text, have, again)
		}
	})
}

func TestReadTombstoneTakesRegularFilesOnly(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	write(t, whole, "ExitCode: 3\n")
	if err := os.Symlink(whole, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "huge"), "ExitCode: 3\n"+strings.Repeat("#\n", 64<<10))
	if have, err := ReadTombstone(whole); err != nil || *have.ExitCode != 3 {
		t.Errorf("have %v, %v", have, err)
	}
	for _, name := range []string{"link", "pipe", "huge", ".", "none"} {
		t.Run(name, func(t *testing.T) {
			if have, err := ReadTombstone(filepath.Join(dir, name)); err == nil {
				t.Errorf("have %v, want an error", have)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestDead(t *testing.T) {
	before, after := died.Add(-time.Second), died.Add(time.Second)
	for _, tt := range []struct {
		name  string
		stone Tombstone
		since time.Time
		want  bool
		code  int
	}{
		{name: "alive", stone: Tombstone{Born: born}},
		{name: "hbt-06 dead before we came first", stone: Tombstone{Died: died, ExitCode: new(1)}, want: true, code: 1},
		{name: "dead since our last incarnation", stone: Tombstone{Died: died, ExitCode: new(1)}, since: before, want: true, code: 1},
		{name: "hbt-07 own-09 a failure that our last incarnation has seen", stone: Tombstone{Died: died, ExitCode: new(1)}, since: after, code: 1},
		{name: "a success that our last incarnation has seen", stone: Tombstone{Died: died, ExitCode: new(0)}, since: after, want: true},
		{name: "kx-02 killed by a signal", stone: Tombstone{Died: died, ExitCode: new(-1)}, want: true, code: 255},
		{name: "a code that is not known", stone: Tombstone{Died: died}, want: true, code: 255},
		{name: "a code that is none", stone: Tombstone{Died: died, ExitCode: new(256)}, want: true, code: 255},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, dead := tt.stone.Dead(tt.since)
			if dead != tt.want || code != tt.code {
				t.Errorf("have %d, %v, want %d, %v", code, dead, tt.code, tt.want)
			}
		})
	}
}
