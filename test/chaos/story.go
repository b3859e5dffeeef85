package chaos

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Event is a line that a container's command wrote: "runs", "ready", "term" or
// "ends CODE".
type Event struct {
	At   time.Duration // time since the machine's start
	Who  string
	What string
}

// Parse reads the events of a log.
func Parse(log string) ([]Event, error) {
	var events []Event
	for line := range strings.Lines(log) {
		fields := strings.SplitN(strings.TrimSpace(line), " ", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("event %q", line)
		}
		seconds, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return nil, fmt.Errorf("event %q: %w", line, err)
		}
		events = append(events, Event{time.Duration(seconds * float64(time.Second)), fields[1], fields[2]})
	}
	return events, nil
}

// Fate is the end of a container, as the kubelet reports it.
type Fate struct {
	Ended     bool
	Waiting   bool // for its next start
	Lost      bool // the exit code was lost in a restart of the runtime
	Unstarted bool // the runtime did not start it
	Code      int
	Restarts  int
}

// Span is a period, with times since the machine's start.
type Span struct{ Begin, End time.Duration }

// Story is the observed run of a pod.
type Story struct {
	Pod     Pod
	Events  []Event
	Fates   map[string]Fate // from the pod's last status before it was deleted
	Deleted time.Duration   // time before the request to delete the pod, since the machine's start; 0: it was not deleted
	Heard   time.Duration   // time after the answer to this request, in the same form; 0: at once
	Killed  time.Duration   // time at which the victim's wrapper was killed, in the same form
	Over    bool            // no container of the pod is left

	Outages []Span // restarts of the kubelet or the runtime
}
