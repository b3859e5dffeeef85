package inject

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/webhook/messages"
	"koordinator.io/koordinator/wrapper/spec"
)

// checkRestarts rejects containers that cannot restart with others although their
// settings require it, and warns of the cost of such restarts.
func (in *input) checkRestarts(specs map[string]spec.Spec, n *messages.Notes) {
	g := spec.Graph{}
	for _, c := range in.containers {
		others := specs[c.Name].RestartWith
		if len(others) == 0 {
			continue
		}
		g[c.Name] = others
		place := in.asked.Wishes[c.Name].Places["restartWith"]
		in.checkRestarted(c, place, n)
		for _, name := range others {
			in.checkRestartTarget(c, name, place, n)
		}
	}
	for _, path := range g.Cycles() {
		if len(path) <= 2 { // with itself: already rejected
			continue
		}
		n.Refuse(in.asked.Wishes[path[0]].Places["restartWith"], messages.RestartCycle, path[0],
			fmt.Sprintf("in the cycle %s, the restart of one container restarts all of them indefinitely", arrows(path)), "Remove one of these entries")
	}
}

// checkRestarted rejects a container that would not start again, and warns of a
// Job's limit.
func (in *input) checkRestarted(c container, place messages.Place, n *messages.Notes) {
	switch {
	case c.restart().ForGood(spec.ExitRestart):
		n.Refuse(place, spec.NotRestarted, c.Name,
			fmt.Sprintf("%q would not restart, because its restart policy does not restart it after exit code %d", c.Name, spec.ExitRestart), "Set restartPolicy: Always or OnFailure, or add a rule to restartPolicyRules")
	case in.pod.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && !c.sidecar():
		n.Warn(place, messages.RestartsCount, c.Name, fmt.Sprintf("if the pod belongs to a Job, each restart of %q counts as a failure for its backoffLimit", c.Name), "")
	}
}

// checkRestartTarget rejects a container that cannot exit while the other one
// runs.
func (in *input) checkRestartTarget(c container, name string, place messages.Place, n *messages.Notes) {
	on, found := in.find(name)
	switch {
	case !found && !in.late(name):
		n.Refuse(place, messages.UnknownContainer, name, in.unknown(name), in.meant(name))
	case found && on.runsToEnd():
		n.Refuse(place, messages.RestartWithInit, name, fmt.Sprintf("%q is an init container and exits before %q starts", name, c.Name), "Remove it")
	case found && c.runsToEnd() && !slices.ContainsFunc(in.containers, func(o container) bool { return o.Name == name && o.init() }):
		n.Refuse(place, messages.RestartWithInit, name, fmt.Sprintf("%q starts only after the init container %q has exited", name, c.Name), "Remove it")
	}
}
