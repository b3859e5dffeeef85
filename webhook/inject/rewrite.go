package inject

import (
	"encoding/json"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// Rewrite returns the patch that makes the pod run as completed. It is empty if
// there is nothing to change, or if there are problems. Values that are already
// correct stay unchanged.
func Rewrite(c Completed) []jsonpatch.Operation {
	if len(c.Problems) > 0 || len(c.members) == 0 {
		return nil
	}
	var p patch
	all := make(members, len(c.members))
	for i, m := range c.members {
		all[i] = m.member
	}
	in := &c.given
	if c.Skipped {
		if !all.wrappedBefore() {
			p.status(in.pod, Status{Version: in.settings.Version, Rule: in.asked.Rule, Skipped: true})
		}
		return p
	}
	for _, m := range c.members {
		p.emptyEnviron(m.container)
		p.command(m)
		p.env(m)
		p.mounts(m.member, in.byImage)
		p.gate(m.member, all)
		p.hooks(m)
		p.answerProbes(m)
	}
	p.volumes(in, all)
	p.marks(in, c.members, c.Wrapped)
	p.install(in, c.members, c.Wrapped) // last, because it moves the other init containers
	return p
}

// marks labels the pod for the reconciler and for users. The webhook does not
// rely on these marks in incoming pods, but in enabled namespaces the grant
// relies on the label.
func (p *patch) marks(in *input, all []*instructed, wrapped []string) {
	mark := Status{Version: in.settings.Version, Rule: in.asked.Rule, Wrapped: wrapped, Source: spec.SourceLocal, LookedUp: lookedUp(in.pod, all)}
	for _, m := range all {
		if m.source != spec.SourceLocal {
			mark.Source = ""
		}
	}
	p.put(in.pod.Labels, InjectedLabel, "true", "metadata", "labels")
	p.status(in.pod, mark)
}

// lookedUp returns the digests of the images that were looked up in a registry,
// by container: in this call, or in the earlier call that wrapped the container.
func lookedUp(pod *corev1.Pod, wrapped []*instructed) map[string]string {
	before := StatusOf(pod)
	all := map[string]string{}
	for _, m := range wrapped {
		digest := m.image
		if !m.wantsCommand() && m.before.Container != "" {
			digest = before.LookedUp[m.Name]
		}
		if digest != "" {
			all[m.Name] = digest
		}
	}
	return all
}

// status writes the status annotation.
func (p *patch) status(pod *corev1.Pod, s Status) {
	text, err := json.Marshal(s)
	if err != nil {
		panic("encode strings: " + err.Error()) // cannot happen
	}
	p.put(pod.Annotations, StatusAnnotation, string(text), "metadata", "annotations")
}
