package lint

import (
	corev1 "k8s.io/api/core/v1"

	"koordinator.io/koordinator/cli/document"
	"koordinator.io/koordinator/cli/input"
	"koordinator.io/koordinator/cli/rules"
	"koordinator.io/koordinator/webhook/admission"
)

// ruled returns a pod with the annotations of the first rule that selects it. If the rule
// does not fit the pod and its failure policy is Ignore, ruled reports this and returns the
// pod itself.
func (c *checker) ruled(e document.Element, p input.Pod) *corev1.Pod {
	known := rules.Namespaces{}
	for name, ns := range c.namespaces {
		known[name] = ns.Object.Object.GetLabels()
	}
	for _, candidate := range rules.Candidates(c.rules, e.Object, p, known) {
		if candidate.Rule == nil {
			break
		}
		problems, _ := admission.Check(candidate.Pod, rootOf(p), c.settings)
		if len(problems) == 0 || !candidate.Optional() {
			return candidate.Pod
		}
		for _, problem := range problems {
			problem.Sentence = candidate.Skipped() + " " + problem.Sentence
			c.problem(e, Warning, problem)
		}
	}
	return p.Pod
}
