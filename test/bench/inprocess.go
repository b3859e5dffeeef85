package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// figures holds the results of one benchmark in each round, by unit, as "go test -bench"
// prints them.
type figures map[string][]float64

// at returns the median of a figure. A time is in nanoseconds.
func (f figures) at(unit string) time.Duration {
	all := slices.Sorted(slices.Values(f[unit]))
	if len(all) == 0 {
		return 0
	}
	return time.Duration(all[len(all)/2])
}

// inProcess runs the webhook's own benchmarks in turn, on one processor.
func (b *bench) inProcess() ([]row, error) {
	binary := filepath.Join(b.dir, "webhook.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, "./webhook/admission").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	all := map[string]figures{}
	for range b.runs(9) {
		run := exec.Command(binary, "-test.run", "^$", "-test.bench", "^BenchmarkAdmission$", "-test.cpu", "1", "-test.benchtime", "200ms")
		run.Dir = "webhook/admission"
		out, err := run.Output()
		if err != nil {
			return nil, fmt.Errorf("run the benchmarks: %w\n%s", err, out)
		}
		if err := readBenchmarks(string(out), all); err != nil {
			return nil, err
		}
	}
	typical, unasked := all["BenchmarkAdmission/typical"], all["BenchmarkAdmission/unasked"]
	defaulter, decode := all["BenchmarkAdmission/defaulter"], all["BenchmarkAdmission/decode"]
	var chains []string
	for _, n := range []int{2, 10, 50, 200} {
		chains = append(chains, us(all[fmt.Sprintf("BenchmarkAdmission/%d-containers", n)].at(cpuUnit)))
	}
	return []row{
		{
			"admission in process, processor time", inProcessText(typical),
			fmt.Sprintf("a Defaulter that makes the same change %s (%.1f times as much), decoding the pod alone %s",
				us(defaulter.at(cpuUnit)), float64(defaulter.at(cpuUnit))/float64(max(1, typical.at(cpuUnit))), us(decode.at(cpuUnit))),
			"≤ " + us(inProcessAim), typical.at(cpuUnit) <= inProcessAim,
		},
		{what: "the same, a pod without annotations", ours: inProcessText(unasked)},
		{what: "the same, pods of 2, 10, 50 and 200 containers in a chain, processor time", ours: strings.Join(chains, ", ")},
	}, nil
}

// cpuUnit is the unit for the processor time of one iteration.
const cpuUnit = "cpu-ns/op"

func inProcessText(f figures) string {
	return fmt.Sprintf("%s, %d allocations; p50 %s, p99 %s by the clock", perReview(f.at(cpuUnit)), f.at("allocs/op"), us(f.at("p50-ns")), us(f.at("p99-ns")))
}

// readBenchmarks parses a benchmark's output and adds the figures to all.
func readBenchmarks(out string, all map[string]figures) error {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if all[fields[0]] == nil {
			all[fields[0]] = figures{}
		}
		for pair := range slices.Chunk(fields[2:], 2) {
			value, err := strconv.ParseFloat(pair[0], 64)
			if err != nil || len(pair) < 2 {
				return fmt.Errorf("read the benchmark's line %q: %w", line, err)
			}
			all[fields[0]][pair[1]] = append(all[fields[0]][pair[1]], value)
		}
	}
	return nil
}
