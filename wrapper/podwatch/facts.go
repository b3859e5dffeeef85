package podwatch

import (
	"fmt"
	"strings"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/spec"
)

// facts is what is known of the pod's containers, by name.
type facts map[string]fact

// fact is a Container and the incarnation that Ready is about.
type fact struct {
	podstatus.Container
	incarnation string
}

// snapshot copies the facts for a reader.
func (f facts) snapshot() podstatus.Snapshot {
	s := make(podstatus.Snapshot, len(f))
	for name, fact := range f {
		s[name] = fact.Container
	}
	return s
}

// observe is pure: the facts after p, where f was known before. Only Started,
// and Ready within an incarnation, outlive what p says.
func (f facts) observe(p *pod) facts {
	next := make(facts, len(f))
	restarts := restartsOf(p)
	for i := range p.Spec.InitContainers {
		c := &p.Spec.InitContainers[i]
		st := find(p.Status.InitContainerStatuses, c.Name)
		plain := c.RestartPolicy != "Always"
		fact := restarts.observe(c, st, plain, f[c.Name])
		fact.Init = true
		next[c.Name] = fact
	}
	for i := range p.Spec.Containers {
		c := &p.Spec.Containers[i]
		st := find(p.Status.ContainerStatuses, c.Name)
		next[c.Name] = restarts.observe(c, st, false, f[c.Name])
	}
	return next
}

// find is the status of a container, an empty one before the kubelet wrote it.
func find(statuses []containerStatus, name string) *containerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return &containerStatus{}
}

// observe is the fact about one container; plain marks an init container that
// is not a native sidecar.
func (r restarts) observe(c *containerSpec, st *containerStatus, plain bool, known fact) fact {
	next := fact{incarnation: fmt.Sprintf("%d %s", st.RestartCount, st.ContainerID)}
	next.Started = known.Started || started(c, st)
	next.Stopping, next.Grace, next.StopSignal = r.deleting, r.grace, st.StopSignal
	next.Runs = st.State.runs() && (st.Started || !gated(c))
	if st.State.runs() && !plain {
		kept := known.Ready && known.incarnation == next.incarnation
		next.Ready = kept || st.Ready && (st.Started || !gated(c))
	}
	if t := st.State.Terminated; t != nil && r.forGood(c, plain, t.code()) {
		next.Exited, next.Stopped, next.Code, next.Reason = true, t.stopped(), t.code(), t.why()
	}
	if st.State.Terminated == nil && !st.State.runs() && r.over {
		next.Exited, next.Code, next.Reason = true, lostCode, r.reason
		if t := st.LastState.Terminated; t != nil {
			next.Code, next.Reason = t.code(), t.why()
		}
	}
	return next
}

// runs tells whether the container runs. Only one state is set, says the API;
// nothing is both.
func (s *state) runs() bool { return s.Running != nil && s.Terminated == nil }

// gated tells that a startup probe holds back containerStatus.started until a
// wrapped container's command runs: our gate, or the user's own probe in it.
func gated(c *containerSpec) bool {
	return len(c.Command) > 0 && c.Command[0] == spec.Binary && c.StartupProbe != nil
}

// started tells whether st is a sign that the command has been started, by this
// incarnation or an earlier one.
func started(c *containerSpec, st *containerStatus) bool {
	if st.State.Terminated.ran() || st.LastState.Terminated.ran() {
		return true
	}
	if gated(c) {
		return st.Started
	}
	// The kubelet keeps no trace of an incarnation but its number: it ran.
	traceless := st.State.Terminated.lost() && st.LastState.Terminated.lost()
	return st.State.runs() || st.RestartCount > 0 && traceless
}

// lostCode is what the kubelet, and we, report for a container that is gone
// without an exit code.
const lostCode = 137

// lost tells that there is no word of the runtime on how a container ended:
// nothing, or what the kubelet writes for want of it (also for a container that
// never ran).
func (t *terminated) lost() bool {
	return t == nil || t.Reason == "ContainerStatusUnknown" || t.Reason == "RestartingAllContainers"
}

// ran tells whether the command was started in an incarnation that ended.
func (t *terminated) ran() bool {
	if t.lost() || strings.HasPrefix(t.Message, spec.NotStarted) {
		return false
	}
	return t.Reason != "StartError" && t.Reason != "ContainerCannotRun" // the runtime could not start it
}

// stopped tells whether the wrapper stopped the command, or kept it from running
// and reported a success: its message says so.
func (t *terminated) stopped() bool {
	return strings.HasPrefix(t.Message, spec.StoppedBy) || t.ExitCode == 0 && strings.HasPrefix(t.Message, spec.NotStarted)
}

// code is the exit code, 128+n where there is only a signal.
func (t *terminated) code() int {
	if t.ExitCode == 0 && t.Signal != 0 {
		return 128 + t.Signal
	}
	return t.ExitCode
}

// why is one sentence on an end that was not the command's own doing, "" on
// any other.
func (t *terminated) why() string {
	if rest, ok := strings.CutPrefix(t.Message, spec.NotStarted); ok {
		return sentence(rest)
	}
	switch {
	case t.Reason == "OOMKilled":
		return "killed: out of memory (OOMKilled)"
	case !t.ran():
		return sentence(t.Reason + ": " + t.Message)
	case t.code() > 128 && t.code() <= 128+64:
		return fmt.Sprintf("ended with code %d, as by signal %d", t.code(), t.code()-128)
	}
	return ""
}

// sentence is the first line of text, at most 300 bytes, in memory of its own:
// the reason outlives the pod it was read from.
func sentence(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSuffix(strings.TrimSpace(line), ":")
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return strings.Clone(line)
}
