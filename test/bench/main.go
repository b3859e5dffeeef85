// Command bench measures the cost and the speed of the wrapper and the webhook as whole
// processes. It compares them with other inits in the same run. Measurements of time
// alternate between the programs, so that other load on the machine affects all of them
// equally.
//
//	go run ./test/bench             print the table
//	go run ./test/bench -write      and write docs/explanation/performance.md
//	go run ./test/bench -only NAMES some measurements, with commas between them: start, exit, memory, growth, stop, ready, size, tool, admission, cluster, watchers, fleet
//
// It needs Linux, root, and the Debian packages tini, dumb-init and catatonit. Run it from
// the module's directory.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"koordinator.io/koordinator/test/pod"
)

// peers lists the inits to compare with. Their packages have the same names.
var peers = []string{"tini", "dumb-init", "catatonit"}

// bench is one run of the program.
type bench struct {
	dir     string // directory for the files of the run
	binary  string // the koordinator binary
	kubexit string // the kubexit binary, "" for none
	part    string // the program that acts as the containers' commands
	self    string // this program, which also acts as the pods' watchers
	scale   float64
	pods    int // the most pods for fleet

	starts  []*subject // programs that start has compared
	growths []grown    // results for pods of several sizes
	crowds  []crowd    // results for wrappers that watch one API server
	fleets  []fleet    // results for numbers of injected pods
}

// measurement returns rows of the table.
type measurement struct {
	name string
	take func(*bench) ([]row, error)
}

// measurements lists all measurements in the order of the table.
var measurements = []measurement{
	{"stop", (*bench).stop},
	{"ready", (*bench).ready},
	{"start", (*bench).start},
	{"exit", (*bench).exit},
	{"memory", (*bench).memory},
	{"growth", (*bench).growth},
	{"size", (*bench).size},
	{"tool", (*bench).tool},
	{"admission", (*bench).admission},
	{"cluster", withCluster((*bench).onCluster)},
	{"watchers", withCluster((*bench).watchers)},
	{"fleet", withCluster((*bench).fleet)},
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

// run takes the selected measurements and prints them.
func run() error {
	only := flag.String("only", "", "take these measurements, with commas between them")
	write := flag.Bool("write", false, "write docs/explanation/performance.md")
	binary := flag.String("koordinator", "", "measure this binary instead of a fresh build")
	kubexit := flag.String("kubexit", "", "a kubexit whose size to show beside ours")
	scale := flag.Float64("scale", 1, "take so many times the usual number of runs")
	pods := flag.Int("pods", 10000, "the most injected pods that fleet creates; 100000 take half an hour more")
	busy := flag.Bool("busy", false, "measure although the machine is busy")
	flag.Parse()
	if !*busy {
		if err := quiet(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, binary: *binary, kubexit: *kubexit, scale: *scale, pods: *pods}
	if err := b.prepare(); err != nil {
		return err
	}
	rows, err := b.take(*only)
	if err != nil {
		return err
	}
	fmt.Print(table(rows))
	if *write {
		return b.write(rows)
	}
	return nil
}

// prepare builds what is missing and checks the requirements.
func (b *bench) prepare() error {
	var errs []error
	for _, name := range append(slices.Clip(peers), "gcc") {
		if _, err := exec.LookPath(name); err != nil {
			errs = append(errs, fmt.Errorf("%w: apt-get install -y --no-install-recommends %s gcc libc6-dev", err, strings.Join(peers, " ")))
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
	if b.part, err = buildPart(b.dir); err != nil {
		return err
	}
	b.self, err = os.Executable()
	return err
}

// take takes the named measurements, or all.
func (b *bench) take(only string) ([]row, error) {
	var rows []row
	for _, m := range measurements {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
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

// runs returns the number of repetitions of a measurement.
func (b *bench) runs(n int) int { return max(3, int(float64(n)*b.scale)) }
