package record

import (
	"os"
	"path/filepath"
)

// If a container exits with a code for which its restart rules specify
// RestartAllContainers (KEP-5532), the present run of the pod ends: all its
// containers are ended and started again, beginning with the first init
// container, in the same sandbox. Records from before are obsolete. The records
// count the runs: the first incarnations that find such an exit in the latest
// run belong to the next one.

// restartAll is the action of such a rule.
const restartAll = "RestartAllContainers"

// killed is the exit code of a container that is killed together with its
// wrapper.
const killed = 128 + 9

// endedRun reports whether the end of this incarnation restarted all
// containers.
func (p Peer) endedRun() bool { return p.RestartsAll && (p.Exit != nil || !p.Alive) }

// past reports whether the incarnation ended before the present run began.
func (p Peer) past(run int) bool { return !p.Alive && p.Run < run }

// nextRun returns the run of an incarnation that begins now in the container
// whose directory is dir.
func nextRun(dir, peers string) int {
	all := records(peers)
	if p, err := Read(dir); err == nil {
		all = append(all, p)
	}
	run := latest(all)
	for _, p := range all {
		if p.Run == run && p.endedRun() {
			return run + 1
		}
	}
	return run
}

// Run returns the run to which the incarnation with record r belongs. Without a
// record, it is the latest run among the records below peers.
func Run(r *Record, peers string) int {
	if r == nil {
		return latest(records(peers))
	}
	return r.last.Run
}

// latest returns the latest run among the records.
func latest(all []Peer) int {
	run := 0
	for _, p := range all {
		run = max(run, p.Run)
	}
	return run
}

// records reads every record below dir.
func records(dir string) []Peer {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there are none
	}
	var all []Peer
	for _, e := range entries {
		if p, err := Read(filepath.Join(dir, e.Name())); err == nil {
			all = append(all, p)
		}
	}
	return all
}
