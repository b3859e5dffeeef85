package fleet

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// container is the stored state of a wrapped container. Times are seconds since
// 1970, the resolution of the API server; 0 means none.
type container struct {
	name  unique.Handle[string]
	gated bool // its startup probe succeeds when the command has started
	exits bool // it waits only for containers that exit, which may take any time

	began   int64 // start of the current incarnation, while it waits or after it waited
	started bool  // its wait is over
	ended   int64 // end of the last incarnation that was counted
}

// wrapped returns a pod's wrapped containers.
func wrapped(of corev1.PodSpec) []container {
	var all []container
	for _, list := range [][]corev1.Container{of.InitContainers, of.Containers} {
		for i := range list {
			if text, is := specOf(list[i]); is {
				all = append(all, container{name: unique.Make(list[i].Name), gated: waits(list[i], text), exits: waitsForExits(text)})
			}
		}
	}
	return slices.Clip(all)
}

// specOf returns the text of a container's spec.
func specOf(c corev1.Container) (text string, is bool) {
	for i := range c.Env {
		if c.Env[i].Name == spec.Env {
			return c.Env[i].Value, true
		}
	}
	return "", false
}

// startDeps precedes the list of start dependencies in a spec that the webhook
// wrote.
const startDeps = `"startDeps":`

// waits reports whether a container has both start dependencies and a startup
// probe that shows when its wait is over.
func waits(c corev1.Container, text string) bool {
	probe := c.StartupProbe
	gated := probe != nil && probe.Exec != nil && len(probe.Exec.Command) > 0 && probe.Exec.Command[0] == spec.Binary
	return gated && strings.Contains(text, startDeps)
}

// waitsForExits reports whether all start dependencies in a spec are on the exit
// of a container.
func waitsForExits(text string) bool {
	_, rest, _ := strings.Cut(text, startDeps)
	if !strings.Contains(rest, string(spec.Exited)) && !strings.Contains(rest, string(spec.Succeeded)) {
		return false
	}
	var deps []string
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&deps); err != nil {
		return false
	}
	return !slices.ContainsFunc(deps, func(dep string) bool {
		name, condition, _ := strings.Cut(strings.TrimSuffix(dep, "?"), "=")
		endpoint := strings.Contains(name, "/")
		return endpoint || condition != string(spec.Exited) && condition != string(spec.Succeeded)
	})
}

// event is an occurrence to count.
type event struct {
	waited  time.Duration // duration of a wait that is over; negative: the event is not the end of a wait
	failure int32         // exit code of a failed start; 0: none
	expired bool          // a stop request was held until no time was left
}

// failures are the exit codes with which koordinator itself ends a container.
var failures = []int32{spec.ExitBadConfig, spec.ExitUnsatisfiable, spec.ExitRestart, spec.ExitEnvFile, spec.ExitStartTimeout}

// advance updates a container with its current status and returns the events
// since the previous status. Counting begins with the first status of a container
// in a list, so that status causes no events.
func (c *container) advance(s corev1.ContainerStatus, now time.Time, first bool) []event {
	var events []event
	for _, t := range []*corev1.ContainerStateTerminated{s.LastTerminationState.Terminated, s.State.Terminated} {
		if t == nil || t.FinishedAt.Unix() <= c.ended {
			continue
		}
		if c.ended = t.FinishedAt.Unix(); !first {
			events = append(events, c.end(t)...)
		}
	}
	if r := s.State.Running; r != nil && c.gated {
		events = append(events, c.run(r, s.Started != nil && *s.Started, now, first)...)
	}
	return events
}

// end returns the events at the end of an incarnation.
func (c *container) end(t *corev1.ContainerStateTerminated) []event {
	var events []event
	waited := c.gated && (!c.started || c.began != t.StartedAt.Unix())
	if waited && strings.HasPrefix(t.Message, spec.NotStarted) {
		events = append(events, event{waited: max(0, t.FinishedAt.Sub(t.StartedAt.Time))})
	}
	if c.began == t.StartedAt.Unix() {
		c.began, c.started = 0, false
	}
	if slices.Contains(failures, t.ExitCode) && strings.HasPrefix(t.Message, spec.Sign) {
		events = append(events, event{waited: -1, failure: t.ExitCode})
	}
	if strings.HasPrefix(t.Message, spec.HeldTooLong) {
		events = append(events, event{waited: -1, expired: true})
	}
	return events
}

// run returns the events of a running container. started reports whether its
// command has started.
func (c *container) run(r *corev1.ContainerStateRunning, started bool, now time.Time, first bool) []event {
	if at := r.StartedAt.Unix(); at != c.began {
		c.began, c.started = at, false
	}
	if c.started || !started {
		return nil
	}
	c.started = true
	if first {
		return nil
	}
	return []event{{waited: max(0, now.Sub(r.StartedAt.Time))}}
}

// waiting returns how long the container has been waiting, or 0 if it is not
// waiting.
func (c *container) waiting(now time.Time) time.Duration {
	if c.began == 0 || c.started {
		return 0
	}
	return max(time.Nanosecond, now.Sub(time.Unix(c.began, 0)))
}
