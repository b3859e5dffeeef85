package podwatch

import (
	"slices"
	"strings"
	"time"

	"koordinator.io/koordinator/wrapper/spec"
)

// restarts is what decides for the whole pod whether the kubelet starts a
// container again.
//
// A pod that is being deleted counts as one that restarts nothing, whatever
// its policy: the kubelet's ShouldContainerBeRestarted begins with the deletion
// timestamp. "Always: never for good" is about a pod that lives; while it shuts
// down the containers that hold for others, or stop after them, must see them
// go. A container in a crash loop at that moment ends with the pod's phase.
type restarts struct {
	policy   string // the pod's
	deleting bool   // deletionTimestamp is set
	over     bool   // the phase is Failed or Succeeded: nothing runs any more
	all      bool   // a RestartAllContainers rule matched: even what had ended is run again
	reason   string // why nothing runs any more
	grace    time.Duration
}

// restartsOf reads them from p.
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

// restartsAll tells whether a container has exited in a way for which a rule of
// its own restarts the whole pod in place.
func restartsAll(containers []containerSpec, statuses []containerStatus) bool {
	for i := range containers {
		t := find(statuses, containers[i].Name).State.Terminated
		if t != nil && containers[i].restart("").Rule(t.code()) == "RestartAllContainers" {
			return true
		}
	}
	return false
}

// forGood tells whether a container that exited with code is not run again.
func (r restarts) forGood(c *containerSpec, plain bool, code int) bool {
	switch {
	case r.over || r.deleting:
		return true
	case r.all:
		return false
	case plain && code == 0: // an init container is done then, under every policy
		return true
	}
	return c.restart(r.policy).ForGood(code)
}

// restart is the container's effective restart policy. The kubelet looks at
// rules only beside a container-level policy.
func (c *containerSpec) restart(pod string) spec.Restart {
	if c.RestartPolicy == "" {
		return spec.Restart{Policy: pod}
	}
	return spec.Restart{Policy: c.RestartPolicy, Rules: c.RestartPolicyRules}
}
