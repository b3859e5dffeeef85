package pod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"koordinator.io/koordinator/wrapper/record"
	"koordinator.io/koordinator/wrapper/spec"
)

// story is a pod whose containers log what they do, in the order in which they do it.
type story struct {
	*testing.T
	*Pod
	log string // $LOG of every container

	processes   int    // limit for each container, 0 for none
	descriptors uint64 // limit for each container, 0 for none
}

// newStory creates a pod for a story.
func newStory(t *testing.T) story {
	t.Helper()
	return story{T: t, Pod: newPod(t), log: filepath.Join(t.TempDir(), "log")}
}

// limited applies the story's limits to a container.
func (s story) limited(c Container) Container {
	c.Processes, c.Descriptors = s.processes, s.descriptors
	return c
}

// container starts a container with a spec like those that the webhook writes for a Job
// (restart policy Never) whose containers are all wrapped.
func (s story) container(name, script string, changes ...func(*spec.Spec)) *Running {
	s.Helper()
	sp := spec.Default()
	sp.Container, sp.Source, sp.KilledExitCode = name, spec.SourceLocal, 0
	sp.Restart.Policy = spec.RestartNever
	for _, change := range changes {
		change(&sp)
	}
	for _, d := range append(sp.StartDeps, sp.StopDeps...) {
		sp.Wrapped = append(sp.Wrapped, d.Container)
	}
	sp.Wrapped = append(sp.Wrapped, sp.HoldFor...)
	return start(s.T, s.Pod, s.limited(Container{Name: name, Command: sh(script), Spec: sp.Encode(), Env: []string{"LOG=" + s.log, spec.EnvPodIP + "=127.0.0.1"}}))
}

// happened returns the events that the containers have logged.
func (s story) happened() string {
	data, err := os.ReadFile(s.log)
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(data)), " ")
}

// until waits until the containers have logged a text.
func (s story) until(text string) {
	s.Helper()
	eventually(s.T, func() bool { return strings.Contains(" "+s.happened()+" ", " "+text+" ") },
		func() string { return "happened: " + s.happened() + ", want in it: " + text })
}

// recorded waits until the records of containers show that their commands run. The records
// show this later than the commands' own log.
func (s story) recorded(names ...string) {
	s.Helper()
	for _, name := range names {
		eventually(s.T, func() bool {
			peer, err := record.Read(filepath.Join(s.Records(), name))
			return err == nil && peer.Started
		}, func() string { return "no record says that " + name + " runs" })
	}
}

// want checks all events of the story.
func (s story) want(all string) {
	s.Helper()
	if have := s.happened(); have != all {
		s.Errorf("happened: %q, want %q", have, all)
	}
}

// waits waits until a container logs that it waits.
func (s story) waits(r *Running) {
	s.Helper()
	eventually(s.T, func() bool { return strings.Contains(r.Stderr(), "waiting") }, r.Stderr)
}

// startAfter adds start dependencies, in the users' notation.
func startAfter(deps ...string) func(*spec.Spec) {
	return func(s *spec.Spec) { s.StartDeps = append(s.StartDeps, dependencies(deps, spec.Ready)...) }
}

// stopAfter adds stop dependencies.
func stopAfter(deps ...string) func(*spec.Spec) {
	return func(s *spec.Spec) { s.StopDeps = append(s.StopDeps, dependencies(deps, spec.Exited)...) }
}

func dependencies(deps []string, fallback spec.Condition) []spec.Dependency {
	var list []spec.Dependency
	for _, text := range deps {
		text, optional := strings.CutSuffix(text, "?")
		name, condition, found := strings.Cut(text, "=")
		if !found {
			condition = string(fallback)
		}
		list = append(list, spec.Dependency{Container: name, Condition: spec.Condition(condition), Optional: optional})
	}
	return list
}

// holdFor sets the containers that must exit before this one when the pod is stopped.
func holdFor(grace time.Duration, names ...string) func(*spec.Spec) {
	return func(s *spec.Spec) { s.HoldFor, s.GracePeriod = names, grace }
}

// startTimeout limits the wait.
func startTimeout(d time.Duration) func(*spec.Spec) {
	return func(s *spec.Spec) { s.StartTimeout = d }
}

// stopTimeout limits the stop.
func stopTimeout(d time.Duration) func(*spec.Spec) {
	return func(s *spec.Spec) { s.StopTimeout = d }
}

// neverReady adds a readiness probe that does not pass, because no process listens on its port.
func neverReady(s *spec.Spec) {
	s.ReadyProbes = []spec.Probe{{Handler: spec.Handler{Exec: &spec.Exec{Command: []string{"false"}}}}}
}

// readyWhen adds a readiness probe that passes as soon as a file exists.
func readyWhen(file string) func(*spec.Spec) {
	return func(s *spec.Spec) {
		s.ReadyProbes = []spec.Probe{{Handler: spec.Handler{Exec: &spec.Exec{Command: []string{"test", "-e", file}}}}}
	}
}
