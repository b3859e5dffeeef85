package record

import (
	"os"
	"path/filepath"
)

// A container that exits with a code for which its restart rules say
// RestartAllContainers (KEP-5532) ends the present run of the pod: all its
// containers are ended, and started again from the first init container on, in
// the same sandbox. What the records of before say is over. Runs are counted in
// the records: the first incarnations that find such an exit in the latest run
// belong to the next one.

// restartAll is the action of such a rule.
const restartAll = "RestartAllContainers"

// killed is the exit code of a container that is killed with its wrapper.
const killed = 128 + 9

// endedRun tells whether the end of this incarnation restarted all containers.
func (p Peer) endedRun() bool { return p.RestartsAll && (p.Exit != nil || !p.Alive) }

// past tells whether the incarnation ended before the present run began.
func (p Peer) past(run int) bool { return !p.Alive && p.Run < run }

// nextRun is the run that an incarnation belongs to which begins now in the
// container whose directory is dir.
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

// latest is the latest run that any of the records is of.
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
		return nil // there is none
	}
	var all []Peer
	for _, e := range entries {
		if p, err := Read(filepath.Join(dir, e.Name())); err == nil {
			all = append(all, p)
		}
	}
	return all
}
