package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheVerdictIsTheLastLineOfTheTests(t *testing.T) {
	for text, want := range map[string]string{
		"PASS\n" + verdict + "0\r\n[ 1.0] reboot: Power down\n": "0",
		verdict + "2": "2",
		"PASS\n":      "",
		"":            "",
	} {
		var shown bytes.Buffer
		have, err := watch(strings.NewReader(text), &shown)
		if err != nil || have != want || shown.String() != text {
			t.Errorf("%q: have %q, error %v, shown %q", text, have, err, shown.String())
		}
	}
}

func TestTheArchiveContainsAllFiles(t *testing.T) {
	root, image := filepath.Join(t.TempDir(), "root"), filepath.Join(t.TempDir(), "image")
	for _, name := range []string{"a/b/c", "a/odd"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte("content of "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("b/c", filepath.Join(root, "a/link")); err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(root, image); err != nil {
		t.Fatal(err)
	}
	want := "40755 a: \n40755 a/b: \n100755 a/b/c: content of a/b/c\n120777 a/link: b/c\n100755 a/odd: content of a/odd\n"
	if have := list(t, image); have != want {
		t.Errorf("have:\n%s\nwant:\n%s", have, want)
	}
}

// list returns the mode, name and data of each file in an archive.
func list(t *testing.T, image string) string {
	t.Helper()
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for at := 0; ; {
		const magic, header = "070701", 110 // 13 numbers of 8 digits follow the magic
		if !bytes.HasPrefix(data[at:], []byte(magic)) {
			t.Fatalf("no header at %d: %q", at, data[at:min(at+header, len(data))])
		}
		number := func(i int) int {
			start := at + len(magic) + 8*i
			n, err := strconv.ParseInt(string(data[start:start+8]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		aligned := func(n int) int { return (n + 3) / 4 * 4 }
		mode, size, name := number(1), number(6), string(data[at+header:at+header+number(11)-1])
		if name == "TRAILER!!!" {
			return all.String()
		}
		at += aligned(header + len(name) + 1)
		fmt.Fprintf(&all, "%o %s: %s\n", mode, name, data[at:at+size])
		at += aligned(size)
	}
}
