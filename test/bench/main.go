// Command bench measures what the wrapper and the webhook cost and how fast they
// are, as whole processes: beside the figures those of other inits, measured in the same run,
// those of time turn by turn, so that what the machine does meanwhile hits all
// alike.
//
//	go run ./test/bench             print the table
//	go run ./test/bench -write      and write docs/performance.md
//	go run ./test/bench -only NAME  one measurement: start, exit, memory, stop, ready, size, admission, cluster
//
// It needs Linux, root, and the Debian packages tini, dumb-init and catatonit.
// It is run from the module's directory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"koordinator.io/koordinator/test/pod"
)

// peers are the inits to compare with, and the packages that have them.
var peers = []string{"tini", "dumb-init", "catatonit"}

// bench is one run.
type bench struct {
	dir     string // for files that last as long as the run
	binary  string // koordinator
	kubexit string // its binary; "": there is none
	self    string // this program, which plays the commands
	scale   float64
}

// measurement gives rows of the table.
type measurement struct {
	name string
	take func(*bench) ([]row, error)
}

// measurements in the order of the table.
var measurements = []measurement{
	{"stop", (*bench).stop},
	{"ready", (*bench).ready},
	{"start", (*bench).start},
	{"exit", (*bench).exit},
	{"memory", (*bench).memory},
	{"size", (*bench).size},
	{"admission", (*bench).admission},
	{"cluster", (*bench).onCluster},
}

func main() {
	pod.Helper()
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "part-") {
		os.Exit(play(os.Args[1], os.Args[2:]))
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run takes the measurements asked for and prints them.
func run() error {
	only := flag.String("only", "", "take one measurement")
	write := flag.Bool("write", false, "write docs/performance.md")
	binary := flag.String("koordinator", "", "measure this binary instead of a fresh build")
	kubexit := flag.String("kubexit", "", "a kubexit whose size to show beside ours")
	scale := flag.Float64("scale", 1, "take so many times the usual number of runs")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, binary: *binary, kubexit: *kubexit, scale: *scale}
	if err := b.prepare(); err != nil {
		return err
	}
	rows, err := b.take(*only)
	if err != nil {
		return err
	}
	fmt.Print(table(rows))
	if *write {
		return os.WriteFile("docs/performance.md", []byte(page(rows)), 0o644)
	}
	return nil
}

// prepare builds what is missing and checks what has to be there.
func (b *bench) prepare() error {
	var errs []error
	for _, name := range peers {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, fmt.Errorf("%w: apt-get install -y --no-install-recommends %s", err, strings.Join(peers, " ")))
		}
	}
	if os.Getuid() != 0 {
		errs = append(errs, errors.New("containers need root: run it as root"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	if b.binary == "" {
		if b.binary, err = pod.Build(".", b.dir); err != nil {
			return err
		}
	}
	b.self, err = os.Executable()
	return err
}

// take takes one measurement, or all.
func (b *bench) take(only string) ([]row, error) {
	var rows []row
	for _, m := range measurements {
		if only != "" && m.name != only {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", m.name)
		more, err := m.take(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		rows = append(rows, more...)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no measurement %q", only)
	}
	return rows, nil
}

// runs is how often a measurement is repeated.
func (b *bench) runs(n int) int { return max(3, int(float64(n)*b.scale)) }
