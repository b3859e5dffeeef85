package timeline

import (
	"fmt"
	"strings"
	"time"
)

// Status holds the states of a pod's containers at the end of its timeline.
type Status struct {
	Pod        string            `json:"pod"`
	Phase      string            `json:"phase"`
	Cause      string            `json:"cause,omitempty"`
	Containers []ContainerStatus `json:"containers"`
}

// ContainerStatus is the state of a container.
type ContainerStatus struct {
	Name     string     `json:"name"`
	State    string     `json:"state"` // pending, waiting, starting, ready, stopping, exited
	Since    *time.Time `json:"since,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	ExitCode *int       `json:"exitCode,omitempty"`
	Restarts int        `json:"restarts"`
}

// Status returns the states of the containers.
func (t Timeline) Status() Status {
	s := Status{Pod: t.Pod, Phase: t.Phase, Cause: t.Cause}
	for _, l := range t.Lanes {
		c := ContainerStatus{Name: l.Container.Name, ExitCode: l.Code, Restarts: l.Restarts}
		var since time.Time
		c.State, c.Detail, since = l.Now()
		if !since.IsZero() {
			c.Since = &since
		}
		s.Containers = append(s.Containers, c)
	}
	return s
}

// Now returns the state of a container, a detail about it, and the time since which the
// container has been in it.
func (l Lane) Now() (state, detail string, since time.Time) {
	if len(l.Segments) == 0 {
		return "pending", "", time.Time{}
	}
	last := l.Segments[len(l.Segments)-1]
	if l.Code != nil {
		_, detail, _ = strings.Cut(l.Result, "  ")
		return "exited", strings.TrimSuffix(fmt.Sprintf("exit code %d: %s", *l.Code, detail), ": "), last.To
	}
	_, detail, _ = strings.Cut(l.Result, " ")
	return string(last.State), detail, last.From
}

// Age formats the time since an event, to the second.
func Age(d time.Duration) string { return max(0, d).Round(time.Second).String() }
