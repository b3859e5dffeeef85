// Command fuzz runs every fuzz target of the module for some time, one after another.
//
//	go run ./test/fuzz -time 10s
//
// A finding always leaves an input in testdata/fuzz. If a target fails without such an
// input, only because the time ended while the machine was busy, it has found nothing. Go
// before 1.27 reports this as a failure (go.dev/issue/75804).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	lasts := flag.Duration("time", 10*time.Second, "how long each target runs")
	flag.Parse()
	if err := run(*lasts); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// target is one fuzz target.
type target struct{ dir, name string }

func run(lasts time.Duration) error {
	targets, err := find(".")
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return fmt.Errorf("no fuzz targets here: run it in the module's directory")
	}
	for _, t := range targets {
		var out bytes.Buffer
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", lasts.String(), "./"+t.dir)
		cmd.Stdout = io.MultiWriter(os.Stdout, &out)
		cmd.Stderr = io.MultiWriter(os.Stderr, &out)
		err := cmd.Run()
		switch {
		case err != nil && onlyLate(out.String()):
			fmt.Printf("%s: the time was over; nothing was found\n", t.name)
		case err != nil:
			return fmt.Errorf("%s in %s: %w", t.name, t.dir, err)
		}
	}
	return nil
}

// declared matches the declaration of a fuzz target.
var declared = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)

// find lists the fuzz targets below a directory.
func find(root string) (targets []target, err error) {
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(source, -1) {
			targets = append(targets, target{filepath.Dir(path), string(m[1])})
		}
		return err
	})
	return targets, err
}

// late matches the output of a target whose time ended while it was busy.
var late = regexp.MustCompile(`(?m)^--- FAIL: Fuzz\w+ \([0-9.]+s\)\n {4}context deadline exceeded\nFAIL\n`)

// onlyLate reports whether the output of a failed target contains no other failure than late.
func onlyLate(output string) bool {
	rest := late.ReplaceAllString(output, "")
	return rest != output && !strings.Contains(rest, "--- FAIL") && !strings.Contains(rest, "Failing input") && !strings.Contains(rest, "panic")
}
