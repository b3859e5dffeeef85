package podwatch

import (
	"fmt"
	"strings"

	"koordinator.io/koordinator/wrapper/podstatus"
	"koordinator.io/koordinator/wrapper/spec"
)

// facts contains the facts about the pod's containers, by name.
type facts map[string]fact

// fact is a Container with the incarnation that Ready refers to.
type fact struct {
	podstatus.Container
	incarnation string
}

// snapshot returns a copy of the facts for a reader.
func (f facts) snapshot() podstatus.Snapshot {
	s := make(podstatus.Snapshot, len(f))
	for name, fact := range f {
		s[name] = fact.Container
	}
	return s
}

// observe returns the facts after the state p of the pod, given the facts f
// before. It is pure. Only Started, and Ready within an incarnation, persist
// when p no longer shows them.
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

// find returns the status of a container, or an empty one if the kubelet has
// not written it yet.
func find(statuses []containerStatus, name string) *containerStatus {
	for i := range statuses {
		if statuses[i].Name == name {
			return &statuses[i]
		}
	}
	return &containerStatus{}
}

// observe returns the facts about one container. plain means an init container
// that is not a native sidecar.
func (r restarts) observe(c *containerSpec, st *containerStatus, plain bool, known fact) fact {
	next := fact{incarnation: fmt.Sprintf("%d %s", st.RestartCount, st.ContainerID)}
	next.Started = known.Started || started(c, st)
	next.Stopping, next.Grace, next.StopSignal = r.deleting, r.grace, st.StopSignal
	next.Ends = st.ends()
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

// ends returns how many incarnations have ended: all before the present one,
// and the present one if the container waits for a restart. Between two
// incarnations the kubelet reports the ended one as the last state, and its ID
// as the present ID.
func (st *containerStatus) ends() int {
	over := st.State.Terminated != nil
	if last := st.LastState.Terminated; !over && !st.State.runs() && last != nil {
		over = st.ContainerID != "" && st.ContainerID == last.ContainerID
	}
	if over {
		return st.RestartCount + 1
	}
	return st.RestartCount
}

// runs reports whether the container runs. According to the API only one state
// is set; a container with both counts as terminated.
func (s *state) runs() bool { return s.Running != nil && s.Terminated == nil }

// gated reports whether a startup probe keeps containerStatus.started false
// until a wrapped container's command runs: koordinator's gate, or the user's
// own probe that the gate runs.
func gated(c *containerSpec) bool {
	return len(c.Command) > 0 && c.Command[0] == spec.Binary && c.StartupProbe != nil
}

// started reports whether st shows that the command has been started, in this
// incarnation or an earlier one.
func started(c *containerSpec, st *containerStatus) bool {
	if st.State.Terminated.ran() || st.LastState.Terminated.ran() {
		return true
	}
	if gated(c) {
		return st.Started
	}
	// The kubelet keeps no trace of an incarnation except the count: it ran.
	traceless := st.State.Terminated.lost() && st.LastState.Terminated.lost()
	return st.State.runs() || st.RestartCount > 0 && traceless
}

// lostCode is the exit code that the kubelet reports, and so does koordinator,
// for a container that has disappeared without an exit code.
const lostCode = 137

// lost reports whether the runtime's information on a container's end is
// missing: there is none, or the kubelet has filled in a substitute, which it
// also does for a container that never ran.
func (t *terminated) lost() bool {
	return t == nil || t.Reason == "ContainerStatusUnknown" || t.Reason == "RestartingAllContainers"
}

// ran reports whether the command was started in an incarnation that has ended.
func (t *terminated) ran() bool {
	if t.lost() || strings.HasPrefix(t.Message, spec.NotStarted) {
		return false
	}
	return t.Reason != "StartError" && t.Reason != "ContainerCannotRun" // the runtime could not start it
}

// stopped reports whether the wrapper stopped the command, or kept it from
// running and reported success. The termination message shows this.
func (t *terminated) stopped() bool {
	return strings.HasPrefix(t.Message, spec.StoppedBy) || t.ExitCode == 0 && strings.HasPrefix(t.Message, spec.NotStarted)
}

// code returns the exit code, or 128+n if there is only a signal n.
func (t *terminated) code() int {
	if t.ExitCode == 0 && t.Signal != 0 {
		return 128 + t.Signal
	}
	return t.ExitCode
}

// why returns one sentence on an end that the command did not cause itself, and
// "" otherwise.
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

// sentence returns the first line of text, at most 300 bytes long. It copies
// the text, because the reason outlives the pod that it was read from.
func sentence(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSuffix(strings.TrimSpace(line), ":")
	if len(line) > 300 {
		line = strings.ToValidUTF8(line[:300], "") + "…"
	}
	return strings.Clone(line)
}
