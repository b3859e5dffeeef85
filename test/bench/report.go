package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// row is a row of the table.
type row struct {
	what    string
	ours    string
	against string // figures of other programs
	aim     string // "" for none; met then has no meaning
	met     bool
}

// table returns the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| measurement | koordinator | for comparison | target | |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		met := "missed"
		switch {
		case r.aim == "":
			met = ""
		case r.met:
			met = "met"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, r.ours, r.against, r.aim, met)
	}
	return b.String()
}

// definitions say what the rows of the table measure.
var definitions = []struct {
	row  string // part of the row's name
	text string
}{
	{"another container exits", `* **another container exits → the command gets SIGTERM**: the time from a time stamp that one command takes before it exits, to a time stamp that the other container's command
  takes when it receives SIGTERM.`},
	{"another container can answer", `* **another container can answer its readiness probe → the command runs**: the time from the moment when the other container listens on the port of its readiness probe, to the moment when the
  waiting container's command runs. The kubelet's ` + "`periodSeconds`" + ` has no effect on this time.`},
	{"READY=1", `* **another container sends READY=1 → the command runs**: the time from immediately before the container sends ` + "`READY=1`" + ` to ` + "`NOTIFY_SOCKET`" + `, to the moment when the waiting
  container's command runs.`},
	{"over direct", `* **start**: the time from immediately before the start of a program that only exits until it has been reaped, minus the same time without a wrapper. Every program is PID 1 of
  its own PID namespace.`},
	{"child exit", `* **child exit → wrapper exit**: the time from a time stamp that the command takes before it exits, until the wrapper has been reaped.`},
	{"threads", `* **threads**: the number of threads of the wrapper. The wrapper creates all threads before the command starts, regardless of the number of dependencies. The reason: a Go program that cannot
  create a thread crashes, and a running command can use up the process limit of the container.`},
	{"wake-ups", `* **wake-ups**: the voluntary context switches of all threads of the wrapper.`},
	{"resident", `* **resident**: VmRSS, with its part RssAnon in parentheses, from /proc. The other pages belong to the binary. The kernel can drop them,
  and containers that use the same file share them.`},
	{"kubectl koordinator", `* **kubectl koordinator**: the time from immediately before the start of the program, as users run it, until it has been reaped. For ` + "`lint`" + `, the manifests are a
  thousand copies of the sample Job with different names, each in its own file.`},
	{"admission in process", `* **admission in process**: the webhook's handler without a server, from the pod's JSON to the patch's JSON. The pod belongs to a Job and has a
  database proxy, two annotations and two wrapped containers. Processor time is the time of the entire process, including garbage collection,
  and does not depend on other processes on the machine. The Defaulter is the one of controller-runtime. Its input is the pod
  that results from koordinator's patch, so that its cost consists of decoding, encoding and comparing.`},
	{"admission over TLS", `* **admission over TLS**: the webhook's binary as its own process with ` + "`GOMAXPROCS=1`" + `, and 8 connections that stay
  open, as with an API server. At the fixed rate, the response time runs from the moment when the request was due, and includes the time of the client,
  which runs on the same machine. Processor time is the time that the kernel counts for the webhook's process.`},
	{"images looked up", `* **images looked up**: a series of pods, each with a different image, whose commands come from a registry on the same machine. The series runs twice: "first" and "again".`},
	{"pod created", `* **pod created → first process**: the time from immediately before the pod is created until its main container's command prints the first line, on a cluster with one
  node. The clock has a resolution of hundredths of a second. The pod has a second container, which stops with the first.`},
	{"liveness probe", `* **a liveness probe that is replaced**: the time that the node's processors are busy while ten containers are probed once a second for a minute,
  minus the time for the same pod without probes, divided by the number of probes.`},
}

// reasons say why a row misses its target. The figures come from traces with perf (events
// sched, raw_syscalls and signal) and profiles, not from the run that writes the page.
var reasons = []struct {
	row  string // part of the row's name
	text string
}{
	{"another container exits", "An exit passes through two wrappers, and each of them wakes several threads. In a trace of 109 exits, the first wrapper called `wait4` 64 µs after the kernel's `SIGCHLD`, and its record was in place 203 µs later. The other wrapper read the record 169 µs after that, and sent the signal 149 µs later (medians)."},
	{"another container can answer", "The wrapper tries a probe over the network every 5 ms at first, and later in pauses of a twentieth of the time since the first try. The port opens 150 to 250 ms after the start, where the pauses are 7 to 12 ms."},
	{"sends READY=1", "The path is the same as after an exit (see the first item), and the second wrapper then starts a process instead of sending a signal."},
	{"start with nothing", "The row shows the time of an empty Go program. The wrapper catches 14 signals before it starts the command, and creates 7 threads in advance (see **threads**). Without either, a start takes about 40 context switches and 0.2 ms less. Most of the rest is in exec mode, too."},
	{"start in exec mode", "The row above shows the time of an empty Go program. The wrapper is a larger program with more page faults. It first catches the signals that would end it, parses the spec, searches for the command, and executes it, which costs as much as the command alone."},
	{"child exit", "The kernel ends the 12 threads of the wrapper one after another, which took 0.2 ms in a trace. Before that, Go passes `SIGCHLD` from thread to thread, and the wrapper reaps the command and writes a log line."},
	{"resident while", "The anonymous part meets its target, except for a wrapper that watches the API server. The other part consists of program pages, which the wrapper frees when nothing has changed for a second. Later, the kernel maps them again in groups of 16 pages."},
	{"threads", "The wrapper creates every thread that it can need before the command starts: one that starts processes, one that waits in the network poller, and five for system calls that may block at the same time. The other five belong to the Go runtime."},
	{"wake-ups", "The wrapper reads the records again after pauses that double from 5 s to 10 min as long as nothing changes. One of these reads can be in the measured minute."},
	{"binary", "An empty Go program has 1.2 MB. With signals, JSON, structured logs and TCP it has 2.7 MB. The rest is koordinator's own code."},
	{"kubectl koordinator", "In a run of 60 ms, the initialization of packages took 41 ms, most of it in the libraries of Kubernetes. The start has 1,850 page faults, which take several times as long on some machines as on others."},
	{"admission in process", "In a profile, decoding the pod takes 18 % of the time, the plan 33 % (the exploration of all orders is a quarter of this), the rewriting 14 %, and the encoding of the patch 14 %. A third of the time is memory management: the garbage collector is the reason why the mean is far above p50."},
	{"unmodified pod, init-container", "The kubelet looks once a second for containers that have exited (`genericPlegRelistPeriod` in its source), and starts the other containers after that. An image volume needs no init container."},
	{"unmodified pod, image-volume", "In another run on the same machine (14 pods of each kind), pods with the same volumes and without koordinator took as long as pods without volumes, and pods with koordinator took 0.05 to 0.12 s longer (medians). The review of the pod and the start of two wrappers are the rest."},
}

// missed returns the reasons for the rows that miss their targets.
func missed(rows []row) string {
	var b strings.Builder
	for _, reason := range reasons {
		if slices.ContainsFunc(rows, func(r row) bool { return r.aim != "" && !r.met && strings.Contains(r.what, reason.row) }) {
			fmt.Fprintf(&b, "* **%s**: %s\n", reason.row, reason.text)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n## Missed targets\n\nThe figures in this section come from traces and profiles of other runs.\n\n" + b.String()
}

// defined returns the definitions of the rows.
func defined(rows []row) string {
	var b strings.Builder
	for _, d := range definitions {
		if slices.ContainsFunc(rows, func(r row) bool { return strings.Contains(r.what, d.row) }) {
			b.WriteString(d.text + "\n")
		}
	}
	return b.String()
}

// page returns the text of docs/explanation/performance.md.
func (b *bench) page(rows []row) string {
	return `# Performance

` + "`go run ./test/bench -write`" + ` writes this page, in one run on one machine (` + machine() + `).
Figures are medians unless noted otherwise. For comparison, the same run also measured tini, dumb-init and catatonit. For times, the measurements of
all programs alternated. For memory, the programs ran one after another. In the first two rows, the figures for comparison have other sources: the figure for kubexit comes from
another run on a cluster, and the figure for the kubelet is its probe period. The rows about ` + "`kubectl koordinator`" + ` and ` + "`lint`" + ` measure the
command-line tool, and the rows about admission, reviews and the webhook measure the webhook. All other rows measure the wrapper.

` + table(rows) + `
The measurements are defined as follows. For times of the wrapper without a cluster, the commands in the containers are small programs without a library, which take a few microseconds themselves. They run for 20 ms
before an exit is measured, so the wrapper has not freed its memory yet.

` + defined(rows) + missed(rows) + b.startTable() + b.growthTable() + b.crowdTable() + b.fleetTable()
}

// machine describes the properties of the machine that affect the figures most.
func machine() string {
	model := runtime.GOARCH
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	release := "Linux"
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		parts := strings.Split(strings.TrimSpace(string(data)), ".")
		release += " " + strings.Join(parts[:min(2, len(parts))], ".") // the rest belongs to the distribution
	}
	return fmt.Sprintf("%d × %s, %s, %s", runtime.NumCPU(), model, release, runtime.Version())
}
