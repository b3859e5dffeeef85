package podwatch

import (
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// restarts contains the state of the pod that decides whether the kubelet
// starts a container again.
//
// In a pod that is being deleted nothing is restarted, regardless of its
// policy: the kubelet's ShouldContainerBeRestarted checks the deletion
// timestamp first. During the shutdown, the containers that hold for a
// container, or stop after it, must therefore see it exit permanently even if
// its policy is Always. A container that is in a crash loop at that moment ends
// with the pod's phase.
type restarts struct {
	policy   string // the pod's
	deleting bool   // deletionTimestamp is set
	over     bool   // the phase is Failed or Succeeded: nothing runs any longer
	all      bool   // a RestartAllContainers rule matched: containers that had ended run again, too
	reason   string // why nothing runs any longer
	grace    time.Duration
}

// restartsOf returns the restarts for p.
func restartsOf(p *pod) restarts {
	r := restarts{
		grace:    p.grace(),
		policy:   p.Spec.RestartPolicy,
		deleting: p.Metadata.DeletionTimestamp != "",
		over:     p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded",
	}
	if r.over {
		r.reason = sentence("did not run before the pod " + strings.ToLower(p.Status.Phase) + ": " +
			strings.TrimPrefix(p.Status.Reason+": "+p.Status.Message, ": "))
		return r
	}
	r.all = slices.Contains(p.Status.Conditions, condition{"AllContainersRestarting", "True"}) ||
		restartsAll(p.Spec.InitContainers, p.Status.InitContainerStatuses) ||
		restartsAll(p.Spec.Containers, p.Status.ContainerStatuses)
	return r
}

// restartsAll reports whether a container has exited in a way for which one of
// its rules restarts the whole pod in place.
func restartsAll(containers []containerSpec, statuses []containerStatus) bool {
	for i := range containers {
		t := find(statuses, containers[i].Name).State.Terminated
		if t != nil && containers[i].restart("").Rule(t.code()) == "RestartAllContainers" {
			return true
		}
	}
	return false
}

// forGood reports whether a container that exited with code has permanently
// exited.
func (r restarts) forGood(c *containerSpec, plain bool, code int) bool {
	switch {
	case r.over || r.deleting:
		return true
	case r.all:
		return false
	case plain && code == 0: // an init container is then done under every policy
		return true
	}
	return c.restart(r.policy).ForGood(code)
}

// restart returns the container's effective restart policy. The kubelet
// considers rules only together with a container-level policy.
func (c *containerSpec) restart(pod string) spec.Restart {
	if c.RestartPolicy == "" {
		return spec.Restart{Policy: pod}
	}
	return spec.Restart{Policy: c.RestartPolicy, Rules: c.RestartPolicyRules}
}
