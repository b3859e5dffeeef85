package inject

import (
	"encoding/json"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/wrapper/spec"
)

// Rewrite is the patch after which the pod runs as completed, empty when there is
// nothing to change. What is already as it should be is left alone, and nothing is
// written where there are problems.
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
			p.status(in.pod, Status{Version: in.settings.Version, Skipped: true})
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
	p.install(in, c.members, c.Wrapped) // last, as it moves the other init containers
	return p
}

// marks label the pod for the reconciler and people. Nothing relies on them
// when a pod comes in; the grant relies on the label, in enabled namespaces.
func (p *patch) marks(in *input, all []*instructed, wrapped []string) {
	mark := Status{Version: in.settings.Version, Wrapped: wrapped, Source: spec.SourceLocal, LookedUp: lookedUp(in.pod, all)}
	for _, m := range all {
		if m.source != spec.SourceLocal {
			mark.Source = ""
		}
	}
	p.put(in.pod.Labels, InjectedLabel, "true", "metadata", "labels")
	p.status(in.pod, mark)
}

// lookedUp are the digests of the images of which a registry was asked what they
// run, by container: in this call, or in an earlier one that wrapped it.
func lookedUp(pod *corev1.Pod, wrapped []*instructed) map[string]string {
	var before Status
	if text := pod.Annotations[StatusAnnotation]; text != "" {
		_ = json.Unmarshal([]byte(text), &before) // somebody's own text is none of ours
	}
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
