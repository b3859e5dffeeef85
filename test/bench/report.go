package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// row is a line of the table.
type row struct {
	what    string
	ours    string
	against string // the others' figures
	aim     string // "": none, and met says nothing
	met     bool
}

// table is the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | koordinator | beside it | aim | |\n|---|---|---|---|---|\n")
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

// page is docs/performance.md.
func page(rows []row) string {
	return `# What koordinator costs

Written by ` + "`go run ./test/bench -write`" + `, in one run on one machine (` + machine() + `).
tini, dumb-init and catatonit were measured in the same run: turn by turn with koordinator where it is about time, one
after the other where it is about memory. What stands beside the first two lines was not measured here: kubexit's figure
is of another run, on a cluster; the kubelet's follows from how it probes. Figures are medians unless they say otherwise. The lines about admission are the
webhook's, those before them the wrapper's.

` + table(rows) + `
* **peer exits → SIGTERM**: from the clock a command reads before it exits, to the clock the other container's command
  reads when SIGTERM has reached it. Both are Go programs, whose own part is some tenths of a millisecond.
* **peer could answer → runs**: from the moment the peer listens on the port its readiness probe asks, to the moment the
  waiting container's command runs. The kubelet's ` + "`periodSeconds`" + ` plays no part.
* **start**: a command that does nothing, from before its start until it was reaped, less the same without a wrapper. Every
  program is PID 1 of a PID namespace of its own.
* **child exit → wrapper exit**: from the clock the command reads before it exits, until the wrapper was reaped.
* **resident**: VmRSS, and RssAnon of it, from /proc. What is not anonymous are pages of the binary, which the kernel can drop
  and which containers that share the file share.
* **admission in process**: the webhook's handler without a server, from the pod's JSON to the patch's: a Job's pod with a
  database proxy, two annotations, two containers wrapped. Processor time is the whole process's, garbage collection
  included, and does not hang on what else the machine does. The Defaulter is controller-runtime's: it is handed the pod
  that our patch leads to, so that decoding, encoding and comparing is all it costs.
* **admission over TLS**: the webhook's binary as its own process with ` + "`GOMAXPROCS=1`" + `, asked on 8 connections that are kept
  open, as an API server does. At the fixed rate an answer's time runs from the moment its question was due, and what the client does on
  the same machine is in it. Processor time is the kernel's count for the webhook's process.
* **images looked up**: a pod with another image each, one after the other, whose command a registry on this machine is
  asked for; then the same pods again.
* **pod created → first process**: on the one node of the tests' cluster, from before the pod is created to the first line of
  its main container's command; the clock has hundredths of a second. The pod has a second container, which stops with the first.
* **a liveness probe that is taken over**: ten containers, probed once a second for a minute; the time that the node's
  processors are busy, divided by the number of probes, less the same pod without probes.
`
}

// machine says what the figures depend on most.
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
		release += " " + strings.Join(parts[:min(2, len(parts))], ".") // the rest is the distribution's
	}
	return fmt.Sprintf("%d × %s, %s, %s", runtime.NumCPU(), model, release, runtime.Version())
}
